"""The pure core: promises that need no clock, no broker and no platform."""
