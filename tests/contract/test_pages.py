"""The pages lead where they say, and name settings, metrics, statuses and commands that exist."""

import re
from pathlib import Path

import pytest

from config.catalogue import DELIMITER, leaves
from consumer.cli.main import COMMANDS
from consumer.core.outcome import Reason
from consumer.edge.telemetry.metrics import Metrics
from tests.support.commands import command_lines, take

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    path.relative_to(ROOT)
    for path in (
        ROOT / "README.md",
        *(page for folder in ("deploy", "config", "schemas") for page in (ROOT / folder).glob("*.md")),
        ROOT / "deploy/helm/campaign-consumer/README.md",
    )
)
SETTINGS = {DELIMITER.join(path).upper() for path, _ in leaves()}
SETTINGS_PAGE = (ROOT / "config/SETTINGS.md").read_text()
DEFAULTS = dict(re.findall(r"^\| `(\w+)` \| `([^`]*)` \|", SETTINGS_PAGE, flags=re.MULTILINE))
TABLES = {setting.partition(DELIMITER)[0] for setting in SETTINGS}
METRICS = {
    described.name + suffix
    for described in Metrics().described()
    for suffix in (("", "_bucket", "_count", "_sum") if described.kind == "histogram" else ("",))
}

every_page = pytest.mark.parametrize("page", PAGES, ids=str)


def plain(value: str) -> str:
    """Return a value without what is there for the eye."""
    return re.sub(r" ?hours?$", "h", value).replace(",", "").replace(" ", "")


def anchors(page: Path) -> set[str]:
    """Return what `#...` may lead to on a page, as GitHub names headings."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@every_page
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", (ROOT / page).read_text()):
        file, _, anchor = target.partition("#")
        led_to = (ROOT / page).parent / file if file else ROOT / page
        if not target.startswith("https://"):
            assert led_to.exists(), target
            assert not anchor or anchor in anchors(led_to), target


@every_page
def test_every_setting_that_a_page_names_exists(page: Path) -> None:
    named = re.findall(r"\b(?:CAMPAIGN_)?([A-Z]+__[A-Z_0-9]*[A-Z0-9])\b(?!__|_?\*|<)", (ROOT / page).read_text())
    assert [name for name in named if name.partition(DELIMITER)[0] in TABLES and name not in SETTINGS] == []


@every_page
def test_every_setting_of_a_campaign_that_a_page_names_exists(page: Path) -> None:
    named = re.findall(r"\bCAMPAIGNS__<id>__[A-Z_]*[A-Z]\b(?!__)", (ROOT / page).read_text())
    assert [name for name in named if name.upper() not in SETTINGS] == []


def test_every_setting_that_a_message_names_exists() -> None:
    sources = "".join(path.read_text() for path in sorted((ROOT / "consumer").rglob("*.py")))
    named = set(re.findall(r"\bCAMPAIGN_([A-Z]+__(?:<id>__)?[A-Z_0-9]*[A-Z0-9])\b(?!__|_?\*|<|\{)", sources))
    assert "CAMPAIGNS__<id>__DELIVERY__MAX_CONCURRENCY_PER_CAMPAIGN" in named
    assert {name for name in named if name.partition(DELIMITER)[0] in TABLES and name.upper() not in SETTINGS} == set()


def test_the_page_of_settings_says_which_ones_no_campaign_has_for_itself() -> None:
    (row,) = re.findall(r"^\| `CAMPAIGNS__<id>__DELIVERY__\*` .*all but (.*)\. \|$", SETTINGS_PAGE, flags=re.MULTILINE)
    said = re.findall(r"`(\w+?)(?:__\*)?`", row)
    of_all = {name.removeprefix("DELIVERY__") for name in SETTINGS if name.startswith("DELIVERY__")}
    alone = {name for name in of_all if f"CAMPAIGNS__<ID>__DELIVERY__{name}" not in SETTINGS}
    assert "DRY_RUN" in alone
    assert {name for name in of_all if {name, name.partition(DELIMITER)[0]} & set(said)} == alone


@every_page
def test_a_default_that_a_page_states_is_the_setting_s(page: Path) -> None:
    stated = re.findall(r"`([A-Z]+__[A-Z_]+)` \(([\d,]+(?: \w+)?)\)", (ROOT / page).read_text())
    assert [(name, plain(value)) for name, value in stated] == [(name, plain(DEFAULTS[name])) for name, _ in stated]


@every_page
def test_every_metric_that_a_page_names_exists(page: Path) -> None:
    named = re.findall(r"`(campaign_[a-z_]*[a-z])(?:\{[^`]*\})?`", (ROOT / page).read_text())
    assert [name for name in named if name not in METRICS | set(Reason) and DELIMITER not in name] == []


@every_page
def test_every_command_that_a_page_names_exists(page: Path) -> None:
    named = re.findall(r"(?:^|[`$] |`)campaign-consumer ([a-z]\w+)", (ROOT / page).read_text(), flags=re.MULTILINE)
    assert [name for name in named if name not in COMMANDS] == []


@pytest.mark.parametrize("line", command_lines((ROOT / "deploy/UPGRADING.md").read_text()))
def test_a_command_of_the_page_on_upgrading_is_one_of_ours(line: str) -> None:
    take(line)
