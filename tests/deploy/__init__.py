"""What is deployed, tried with the real tools: run by `make check-deploy`, which installs them."""
