"""What people see of the running service from a terminal: `top`, `produce --wait` and `results` tell one truth."""

import asyncio
import sys
from pathlib import Path

import orjson
import pytest

from consumer.top.view import screen
from tests.service.events import event, written
from tests.service.harness import PATIENT, Stage, stage_on
from tests.support.cluster import Cluster
