"""`campaign-consumer schema`: prints JSON Schema of what is read and written. Needs only the models."""

import json

import click

from schemas.json_schema import SUBJECTS, json_schema


@click.command()
@click.argument("subject", required=False, type=click.Choice(list(SUBJECTS)), metavar="[" + "|".join(SUBJECTS) + "]")
def command(subject: str | None) -> None:
    """Print JSON Schema of a contact event, a send result or a dead letter's headers.

    Without an argument all of them are printed as one JSON object, by name. The same schemas are in
    schemas/published.
    """
    document = json_schema(subject) if subject else {name: json_schema(name) for name in SUBJECTS}
    click.echo(json.dumps(document, indent=2, ensure_ascii=False))
