"""Settings come from environment, secrets and file, in that order, and nothing that is set is overlooked."""

from pathlib import Path

import pytest

from config import ConfigurationError, Settings, load

REQUIRED = {"CAMPAIGN_API__URL": "https://eu.example.com/v2/sms/send/list", "CAMPAIGN_API__SERVER_KEY": "k-1"}


def loaded(*, file: Path | None = None, **more: str) -> Settings:
    return load(file, REQUIRED | {f"CAMPAIGN_{name}": value for name, value in more.items()})


def mistakes(*, file: Path | None = None, **more: str) -> list[str]:
    with pytest.raises(ConfigurationError) as raised:
        loaded(file=file, **more)
    return [str(mistake) for mistake in raised.value.mistakes]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "campaign.toml"


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    directory = tmp_path / "secrets"
    directory.mkdir()
    return directory


def test_without_any_word_the_defaults_of_the_contract_hold() -> None:
    settings = loaded()
    assert settings.kafka.bootstrap_servers == ("localhost:9092",)
    assert settings.kafka.events_topics == ("contact-events",)
    assert settings.journal_topic("contact-events") == "contact-events-journal"
    assert settings.kafka.max_event_age_seconds == 86_400
    assert settings.window.max_bytes == 1024**2
    assert settings.delivery.retry.base_seconds == 0.25
    assert settings.shutdown.grace_seconds == 20
    assert settings.log.format is None


def test_the_environment_wins_over_secrets_and_secrets_over_the_file(file: Path, secrets: Path) -> None:
    file.write_text('[kafka]\ngroup_id = "file"\nresults_topic = "file"\ndead_letter_topic = "file-dead"\n')
    (secrets / "campaign_kafka__group_id").write_text("secret\n")
    (secrets / "campaign_kafka__results_topic").write_text("secret\n")
    settings = loaded(file=file, SECRETS_DIR=str(secrets), KAFKA__GROUP_ID="environment")
    assert settings.kafka.group_id == "environment"
    assert settings.kafka.results_topic == "secret"
    assert settings.kafka.dead_letter_topic == "file-dead"


def test_the_file_can_be_named_by_the_environment_and_the_command_line_wins(file: Path, tmp_path: Path) -> None:
    file.write_text('[window]\nduration = "7s"\n')
    other = tmp_path / "other.toml"
    other.write_text("[window]\nduration = 9\n")
    assert loaded(CONFIG=str(other)).window.duration_seconds == 9
    assert loaded(CONFIG=str(other), file=file).window.duration_seconds == 7


def test_a_secret_is_read_without_its_closing_newline_and_beside_what_kubernetes_puts_there(secrets: Path) -> None:
    data = secrets / "..2026_11_25"
    data.mkdir()
    (data / "campaign_kafka__sasl_password").write_text(" pass word \r\n")
    (secrets / "..data").symlink_to(data)
    (secrets / "campaign_kafka__sasl_password").symlink_to(secrets / "..data" / "campaign_kafka__sasl_password")
    (secrets / "another-service").write_text("not ours")
    settings = loaded(
        SECRETS_DIR=str(secrets),
        KAFKA__SECURITY_PROTOCOL="SASL_SSL",
        KAFKA__SASL_MECHANISM="PLAIN",
        KAFKA__SASL_USERNAME="me",
    )
    assert settings.kafka.sasl_password is not None
    assert settings.kafka.sasl_password.get_secret_value() == " pass word "


@pytest.mark.parametrize("written", ["a,b", " a , b ", '["a","b"]', '[ "a", "b" ]'])
def test_a_list_is_json_or_commas(written: str) -> None:
    assert loaded(KAFKA__EVENTS_TOPICS=written).kafka.events_topics == ("a", "b")


def test_a_campaign_differs_only_in_what_is_set_for_it(file: Path) -> None:
    file.write_text(
        '[window]\nmax_contacts = 77\n[delivery.answers]\n500 = "not_delivered"\n[campaigns.421.window]\nduration = 0\n'
    )
    settings = loaded(
        file=file,
        CAMPAIGNS__421__DELIVERY__ON_UNKNOWN_OUTCOME="hold",
        CAMPAIGNS__421__DELIVERY__ANSWERS__418="refused",
        CAMPAIGNS__421__DELIVERY__RETRY__MAX_ATTEMPTS="2",
        DELIVERY__RETRY__LOST_ANSWER_REPEATS="1",
        DELIVERY__EXPIRES_AFTER="5m",
        CAMPAIGNS__7__DELIVERY__EXPIRES_AFTER="none",
    )
    assert settings.window_of(421).duration_seconds == 0
    assert settings.window_of(421).max_contacts == 77
    delivery = settings.delivery_of(421)
    assert delivery.on_unknown_outcome == "hold"
    assert delivery.answers == {500: "not_delivered", 418: "refused"}
    assert (delivery.retry.max_attempts, delivery.retry.lost_answer_repeats) == (2, 1)
    assert delivery.expires_after_seconds == 300
    assert settings.delivery_of(7).expires_after_seconds is None
    assert settings.delivery_of(8) == settings.delivery
    assert settings.delivery.on_unknown_outcome == "resend"


def test_an_unknown_variable_is_a_mistake_and_the_nearest_setting_is_named() -> None:
    assert mistakes(KAFKA__GRUP_ID="g") == [
        "CAMPAIGN_KAFKA__GRUP_ID (environment): unknown setting; did you mean CAMPAIGN_KAFKA__GROUP_ID?"
    ]


def test_an_unknown_name_in_a_file_is_a_mistake_in_the_files_own_spelling(file: Path) -> None:
    file.write_text("[window]\ndurration = 2\n[campaigns.421.windo]\nduration = 2\n")
    assert mistakes(file=file) == [
        f"campaigns.421.windo.duration ({file}): unknown setting; did you mean campaigns.421.window.duration?",
        f"window.durration ({file}): unknown setting; did you mean window.duration?",
    ]


def test_an_unknown_secret_is_a_mistake(secrets: Path) -> None:
    (secrets / "campaign_api__serverkey").write_text("hush")
    (said,) = mistakes(SECRETS_DIR=str(secrets))
    assert said == (
        f"campaign_api__serverkey (secrets file {secrets}/campaign_api__serverkey): "
        "unknown setting; did you mean campaign_api__server_key?"
    )


def test_variables_of_the_tests_and_of_others_are_left_alone() -> None:
    assert loaded(TEST_BOOTSTRAP_SERVERS="x:1") == load(None, REQUIRED | {"PATH": "/bin", "CAMPAIGNER_X": "1"})


def test_what_kubernetes_sets_for_a_service_of_our_name_comes_with_its_cure() -> None:
    said = mistakes(CONSUMER_SERVICE_HOST="10.0.0.1", CONSUMER_PORT_9464_TCP_ADDR="10.0.0.1", CONSUMER_PORT="tcp://x")
    assert len(said) == 3
    assert all("enableServiceLinks: false" in line for line in said)


def test_a_name_that_is_not_in_capitals_is_a_mistake_and_not_overlooked() -> None:
    with pytest.raises(ConfigurationError, match="must be written in capitals: CAMPAIGN_KAFKA__GROUP_ID"):
        load(None, REQUIRED | {"campaign_kafka__group_id": "g"})


def test_a_secrets_name_that_is_not_in_lower_case_is_a_mistake_and_not_overlooked(secrets: Path) -> None:
    (secrets / "CAMPAIGN_API__SERVER_KEY").write_text("k")
    (said,) = mistakes(SECRETS_DIR=str(secrets))
    assert said.endswith("must be written in lower case: campaign_api__server_key")


def test_a_group_given_a_value_and_a_setting_given_a_group_are_mistakes(file: Path) -> None:
    file.write_text('window = "2s"\n[kafka.group_id]\nname = "g"\n')
    group = "is a group of settings, not one; name what is meant, for example"
    assert mistakes(file=file, HTTP="x") == [
        f"CAMPAIGN_HTTP (environment): {group} CAMPAIGN_HTTP__HOST",
        f"kafka.group_id.name ({file}): unknown setting; did you mean kafka.group_id?",
        f"window ({file}): {group} window.duration",
    ]


@pytest.mark.parametrize("key", ["42x", "0", "042", "-1", str(2**63), "421 "])
def test_a_campaign_that_is_no_campaign_id_is_a_mistake(key: str) -> None:
    (said,) = mistakes(file=None, **{f"CAMPAIGNS__{key.upper()}__WINDOW__DURATION": "1s"})
    assert said.endswith("is not a campaign ID, a whole number from 1")


@pytest.mark.parametrize("status", ["99", "600", "5XX", ""])
def test_a_status_that_is_none_is_a_mistake(status: str) -> None:
    (said,) = mistakes(file=None, **{f"DELIVERY__ANSWERS__{status}": "unknown"})
    assert said.endswith("is not an HTTP status from 100 to 599")


def test_a_file_that_cannot_be_read_or_is_no_toml_is_one_mistake(file: Path) -> None:
    assert mistakes(file=file) == [f"--config={file} (command line): cannot be read: No such file or directory"]
    file.write_text("[kafka\n")
    (said,) = mistakes(CONFIG=str(file))
    assert said.startswith(f"CAMPAIGN_CONFIG={file} (environment): is not TOML: ")
    assert "line 1" in said
    file.write_bytes(b"\xff\xfe")
    assert mistakes(file=file) == [f"--config={file} (command line): must be a TOML file in UTF-8"]


def test_an_empty_name_is_a_mistake_and_not_the_working_directory() -> None:
    assert mistakes(CONFIG="", SECRETS_DIR="") == [
        "CAMPAIGN_CONFIG= (environment): cannot be read: nothing is named; leave it out",
        "CAMPAIGN_SECRETS_DIR= (environment): cannot be read: nothing is named; leave it out",
    ]


def test_what_an_unreadable_file_may_have_set_is_not_called_missing(file: Path) -> None:
    with pytest.raises(ConfigurationError) as raised:
        load(file, {})
    assert [mistake.setting for mistake in raised.value.mistakes] == ["--config"]


def test_a_secrets_directory_that_cannot_be_read_is_one_mistake(tmp_path: Path, secrets: Path) -> None:
    gone = tmp_path / "gone"
    assert mistakes(SECRETS_DIR=str(gone)) == [
        f"CAMPAIGN_SECRETS_DIR={gone} (environment): cannot be read: No such file or directory"
    ]
    (secrets / "campaign_api__server_key").mkdir()
    (secrets / "campaign_kafka__sasl_password").write_bytes(b"\xff")
    assert mistakes(SECRETS_DIR=str(secrets)) == [
        f"CAMPAIGN_API__SERVER_KEY (secrets file {secrets}/campaign_api__server_key): cannot be read: Is a directory",
        f"CAMPAIGN_KAFKA__SASL_PASSWORD (secrets file {secrets}/campaign_kafka__sasl_password): must be UTF-8",
    ]


def test_settings_built_by_hand_do_not_look_at_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAMPAIGN_KAFKA__GROUP_ID", "surroundings")
    monkeypatch.setenv("KAFKA", '{"group_id": "surroundings"}')
    by_hand = Settings.model_validate({"api": {"url": "https://x.example/send", "server_key": "k"}})
    assert by_hand.kafka.group_id == "campaign-consumer"
    assert loaded().kafka.group_id == "campaign-consumer"
