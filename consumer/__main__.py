"""`python -m consumer` is `campaign-consumer`. Owns nothing of its own."""

from consumer.cli.main import main

if __name__ == "__main__":
    main()
