"""What the command line does with intake's answers, without a stack."""

import json
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from redress.client import Client
from redress.commands import erase, importing, submit
from redress.failures import Failure, NotRunning, WrongUse
from shared.runtime.auth import Role

CSV = "Date received,Submitted via,Product,Complaint ID\n" + "".join(
    f"09/12/2016,Web,Mortgage,{number}\n" for number in range(3)
)
Handler = Callable[[httpx.Request], httpx.Response]


@pytest.fixture
def intake(monkeypatch: pytest.MonkeyPatch) -> Callable[[Handler], list[httpx.Request]]:
    """Answers in intake's place; gives the list of requests that came."""

    def stand_in(handler: Handler) -> list[httpx.Request]:
        came: list[httpx.Request] = []

        def answer(request: httpx.Request) -> httpx.Response:
            came.append(request)
            return handler(request)

        def client(role: Role, sub: str | None = None) -> Client:
            made = Client({"INTAKE_URL": "http://intake.test"}, role, sub)
            monkeypatch.setattr(made, "_token", lambda: "token")
            monkeypatch.setattr(made, "_http", httpx.Client(transport=httpx.MockTransport(answer)))
            return made

        monkeypatch.setattr(Client, "of_this_machine", client)
        return came

    return stand_in


def imported(result: str) -> Handler:
    def answer(request: httpx.Request) -> httpx.Response:
        rows = json.loads(request.content)["rows"]
        counts = {name: 0 for name in ("new", "known", "changed", "refused")} | {result: len(rows)}
        answers = [
            {"line": row["line"], "result": result, "case_id": "c", "changed": ["product"]} for row in rows
        ]
        return httpx.Response(200, json={**counts, "rows": answers})

    return answer


def written(folder: Path, text: str, name: str = "a.csv") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_an_import_ends_with_one_object_of_counts_and_named_changes(
    intake: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    came = intake(imported("changed"))
    importing.import_file(written(tmp_path, CSV), "cfpb", as_json=True)
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert {name: result[name] for name in ("rows", "new", "known", "changed", "refused")} == {
        "rows": 3,
        "new": 0,
        "known": 0,
        "changed": 3,
        "refused": 0,
    }
    assert [(row["line"], row["changed"]) for row in result["changes"]] == [
        (n, ["product"]) for n in (2, 3, 4)
    ]
    assert json.loads(came[0].content)["origin"] == "history"


def test_an_import_tells_people_what_changed(
    intake: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    intake(imported("changed"))
    importing.import_file(written(tmp_path, CSV), "cfpb")
    first, *rest = capsys.readouterr().out.splitlines()
    assert first == "3 rows: 0 new, 0 known, 3 changed, 0 refused"
    assert rest[0] == "line 2  changed  product  c"


def test_an_import_waits_for_a_service_that_restarts(
    intake: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("redress.commands.importing.time.sleep", lambda _: None)
    troubles: Iterator[Exception | httpx.Response] = iter(
        [httpx.ConnectError("away"), httpx.Response(503, json={"detail": "reads its past"})]
    )

    def answer(request: httpx.Request) -> httpx.Response:
        trouble = next(troubles, None)
        if isinstance(trouble, Exception):
            raise trouble
        return trouble or imported("new")(request)

    came = intake(answer)
    importing.import_file(written(tmp_path, CSV), "cfpb")
    assert len(came) == 3
    assert len({request.content for request in came}) == 1
    assert "3 new" in capsys.readouterr().out


def test_an_import_gives_up_in_the_end(intake: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importing, "PATIENCE", -1.0)
    intake(lambda _: httpx.Response(503, json={"detail": "reads its past"}))
    with pytest.raises(NotRunning, match="does not take rows"):
        importing.import_file(written(tmp_path, CSV), "cfpb")


def test_an_interrupted_import_ends_the_request_in_hand_and_says_how_to_go_on(
    intake: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("redress.profiles.batches.MOST_ROWS", 1)

    def answer(request: httpx.Request) -> httpx.Response:
        signal.raise_signal(signal.SIGINT)
        return imported("new")(request)

    came = intake(answer)
    with pytest.raises(importing.Stopped, match="after 1 rows"):
        importing.import_file(written(tmp_path, CSV), "cfpb", as_json=True)
    assert len(came) == 1
    assert json.loads(capsys.readouterr().out)["rows"] == 1
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_missing_file_is_wrong_use(tmp_path: Path) -> None:
    with pytest.raises(WrongUse, match="no file"):
        importing.import_file(tmp_path / "nowhere.csv", "cfpb")


def received(request: httpx.Request) -> httpx.Response:
    said = {"case_id": "c", "case_number": "2026-K7Q2M9XD-4", "result": "new", "changed": []}
    return httpx.Response(201, json=said)


@pytest.mark.parametrize(
    "text", ['[{"channel": "app"}, {"channel": "fax"}]', '{"channel": "app"}\n{"channel": "fax"}\n']
)
def test_a_file_submitted_twice_asks_with_the_same_keys(
    intake: Any, tmp_path: Path, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    came, file = intake(received), written(tmp_path, text, "a.json")
    submit.submit(file)
    submit.submit(file, as_json=True)
    keys = [request.headers["Idempotency-Key"] for request in came]
    assert (keys[:2], len(set(keys))) == (keys[2:], 2)
    out = capsys.readouterr().out.splitlines()
    assert out[0] == "2026-K7Q2M9XD-4  new  c"
    assert json.loads(out[-1])["submitted"] == 2


def test_a_file_submitted_anew_asks_with_other_keys(intake: Any, tmp_path: Path) -> None:
    came, file = intake(received), written(tmp_path, '{"channel": "app"}', "a.json")
    submit.submit(file)
    submit.submit(file, anew=True)
    assert len({request.headers["Idempotency-Key"] for request in came}) == 2


def test_a_complaint_with_a_reference_is_known_by_that(intake: Any, tmp_path: Path) -> None:
    came = intake(received)
    submit.submit(written(tmp_path, '{"source_system": "s", "source_reference": "1"}', "a.json"))
    assert "Idempotency-Key" not in came[0].headers


@pytest.mark.parametrize("text", ["nope", "[1]", "{"])
def test_what_is_no_complaint_is_wrong_use(tmp_path: Path, text: str) -> None:
    with pytest.raises(WrongUse):
        submit.complaints_in(written(tmp_path, text, "a.json"))


CASE = "01900000-0000-7000-8000-0000000000ca"


@contextmanager
def answering(intake: Any, answers: dict[str, httpx.Response]) -> Any:
    yield intake(lambda request: answers.get(request.url.path, httpx.Response(404, json={})))


def test_a_case_is_erased_by_its_number_or_id_and_a_subject_in_all_its_cases(
    intake: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    done = httpx.Response(202, json={})
    by_number = {
        "/v1/complaints": httpx.Response(200, json={"items": [{"case_id": CASE}]}),
        f"/v1/cases/{CASE}/erasure": done,
    }
    with answering(intake, by_number):
        erase.erase("2026-K7Q2M9XD-4")
        erase.erase(CASE)
    told = {"cases": [{"case_id": "a", "result": "ordered"}, {"case_id": "b", "result": "refused"}]}
    with answering(intake, {f"/v1/subjects/{CASE}/erasure": httpx.Response(202, json=told)}):
        erase.erase(CASE)
    assert capsys.readouterr().out.split() == ["ordered", CASE, "ordered", CASE, "ordered", "a"]


def test_nothing_of_that_name_is_told(intake: Any) -> None:
    with answering(intake, {"/v1/complaints": httpx.Response(200, json={"items": []})}):
        with pytest.raises(Failure, match="no case 2026"):
            erase.erase("2026-K7Q2M9XD-4")
        with pytest.raises(Failure, match="no subject"):
            erase.erase(CASE)


def test_whoever_waits_is_told_when_it_is_erased(
    intake: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("redress.commands.erase.time.sleep", lambda _: None)
    shown = iter([[], ["contact"]])

    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json={"erased": next(shown)} if request.method == "GET" else {})

    intake(answer)
    erase.erase(CASE, wait=True)
    assert f"erased  {CASE}" in capsys.readouterr().err
