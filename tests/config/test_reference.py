"""What readers are told about the settings is what the settings are."""

import tomllib

from config import load
from config.catalogue import leaves
from config.reference import EXAMPLE_FILE, PAGE_FILE, example_toml, page
from config.settings import Settings

KEY = {"CAMPAIGN_API__SERVER_KEY": "k-1"}


def uncommented(text: str) -> str:
    """Return the example with every line that shows a setting or a table put into force."""
    lines = text.splitlines()
    return "\n".join(
        line[2:] if line.startswith("# ") and (" = " in line or line[2] == "[") else line for line in lines
    )


def test_the_example_is_what_the_models_say() -> None:
    assert EXAMPLE_FILE.read_text(encoding="utf-8") == example_toml(), "run: make generate"


def test_the_example_as_it_stands_is_the_defaults_and_names_the_schedule() -> None:
    example = load(EXAMPLE_FILE, KEY)
    defaults = load(None, KEY | {"CAMPAIGN_API__URL": example.api.url})
    assert example.api.field_names.scheduled_at == "scheduleAt"
    names = example.api.field_names.model_copy(update={"scheduled_at": None})
    assert example.api.model_copy(update={"field_names": names}) == defaults.api
    assert example.model_copy(update={"api": defaults.api}) == defaults


def test_the_example_shows_every_setting() -> None:
    shown = tomllib.loads(uncommented(example_toml()))
    for path, _ in leaves(number="500"):
        if path[0] == "campaigns":
            continue
        table = shown
        for name in path[:-1]:
            table = table[name]
        assert path[-1] in table, path


def test_what_the_example_shows_commented_out_can_be_put_into_force() -> None:
    lines = [line for line in uncommented(example_toml()).splitlines() if not line.startswith(("ssl_", "sasl_"))]
    settings = Settings.model_validate(
        tomllib.loads("\n".join(lines)) | {"api": {"url": "https://x.example/send", "server_key": "k"}}
    )
    assert settings.delivery_of(421).expires_after_seconds == 300
    assert settings.window_of(421).duration_seconds == 0
    assert settings.delivery.answers == {500: "not_delivered"}


def test_the_page_has_a_row_for_every_setting_with_its_default() -> None:
    rows = [line for line in page().splitlines() if line.startswith("| `")]
    assert "| `WINDOW__MAX_BYTES` | `1 MiB` | Bytes of one send's body, at most. |" in rows
    assert "| `API__SERVER_KEY` | required | The platform's server key; secret. |" in rows
    per_campaign = 2
    assert len(rows) == sum(path[0] != "campaigns" for path, _ in leaves()) + per_campaign


def test_the_page_has_a_section_for_every_table_that_says_what_it_is_about() -> None:
    headings = [line.removeprefix("## ") for line in page().splitlines() if line.startswith("## ")]
    assert headings == [table.upper() for table in Settings.model_fields]
    assert "\n## WINDOW\n\nWhich events share a send.\n\n| setting |" in page()


def test_the_page_is_what_the_models_say() -> None:
    assert PAGE_FILE.read_text(encoding="utf-8") == page(), "run: make generate"
