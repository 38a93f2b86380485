"""The application at `/`, in a browser: runs are started, watched, steered and compared."""

from __future__ import annotations

import json

import pytest

from agent_runtime.testing.model_server import Turn
from tests.page.browser import Browser, Page
from tests.server.conftest import Serve, serve  # noqa: F401
from tests.support.ports import reserved_port

EVIL = "</pre><img src=x onerror=window.hit=1><script>window.hit=1</script>"
CODE = "def greet(name):\n    return f'hello {name}'  # a greeting\n"


def started(page: Page, prompt: str) -> None:
    page.type("textarea[name=prompt]", prompt)
    page.click("form.start button.primary")
    page.until("location.hash.startsWith('#/runs/')")


def waiting(marker: str) -> Turn:
    """A turn whose command prints, and runs until a file is there."""
    loop = f"echo printed at once; touch started; until [ -e {marker} -o ! -e started ]; do sleep 0.05; done; echo on"
    return Turn(text="I wait.", calls=[("bash", {"command": loop})])


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (390, True)])
def test_a_run_is_started_watched_and_steered(
    browser: Browser,
    serve: Serve,  # noqa: F811
    width: int,
    dark: bool,
) -> None:
    create = {"command": "create", "path": "src/greet.py", "file_text": CODE}
    edit = {"command": "str_replace", "path": "src/greet.py", "old_str": "hello", "new_str": "good morning"}
    tool = "str_replace_based_edit_tool"
    served = serve(
        [
            Turn(thinking="First the file.", text=EVIL, calls=[(tool, create), (tool, edit)]),
            waiting("go"),
            Turn(calls=[("bash", {"command": "exit 3"})]),
            Turn(text=f"done {EVIL}"),
        ],
        "--api-key",
        "secret",
        key="secret",
    )
    page = browser.open(served.url, width=width, dark=dark)
    page.type("dialog input", "secret")
    page.click("dialog button")
    started(page, f"Write a greeting. {EVIL}")
    page.until("document.body.innerText.includes('printed at once')")
    page.until("document.querySelector('.status').textContent === 'running'")
    page.until("document.querySelector('.live-line').textContent.includes('Running bash')")
    page.type(".controls textarea", "and say good evening")
    page.click(".controls button", "Send")
    page.until("document.querySelector('.step.control')?.innerText.includes('good evening')")
    page.click(".controls button", "Pause")
    page.until("document.querySelector('.controls').innerText.includes('Paused')")
    run_id = page.run("location.hash").removeprefix("#/runs/")
    served.until_read(run_id, '"action":"pause"')  # and the messages that were sent before
    (served.workspace / "go").touch()
    page.click(".controls button", "Resume")
    page.until("document.querySelector('.status').textContent === 'completed'")
    assert "good evening" in str(served.model.bodies[2]["messages"])
    page.until("document.querySelector('.controls') === null")
    page.until_text(".run-head", "The model finished its answer.")
    # of the timeline: 4 model calls, 4 tool calls
    page.until("document.querySelectorAll('.span').length === 8")
    page.key("n")
    page.until("document.querySelector('.step.current')?.innerText.includes('exit 3')")
    page.run("document.querySelectorAll('aside details').forEach((each) => (each.open = true))")
    page.until_text("aside", "greet.py", "Turns")
    page.click(".file-row", "greet.py")
    page.until("document.querySelector('.step.current')?.textContent.includes('good morning')")
    page.until("document.querySelector('.step.current .t-keyword')?.innerText === 'def'")
    page.click(".panel.request summary")
    page.until("document.querySelector('.panel.request').innerText.includes('System prompt')")
    assert page.run("window.hit") is None and EVIL in page.text()
    assert not page.scrolls_sideways()
    assert [problem for problem in page.problems if "401" not in problem] == []
    assert all(url.startswith((served.url, "data:")) for url in page.requests)


def test_a_run_is_cancelled_found_and_compared(browser: Browser, serve: Serve) -> None:  # noqa: F811
    served = serve([Turn(text="first answer"), waiting("never")])
    page = browser.open(served.url)
    page.until("document.querySelector('form.start')")
    started(page, "one")
    page.until("document.querySelector('.status').textContent === 'completed'")
    page.click("nav a", "New run")
    started(page, "two")
    page.until("document.querySelector('.live-line').textContent.includes('Running bash')")
    page.click(".controls button", "Cancel")
    page.until("document.querySelector('.status').textContent === 'cancelled'")
    page.click("nav a", "Runs")
    page.until("document.querySelectorAll('.list tr').length === 2")
    page.type("section input[type=search]", "two")
    page.until("document.querySelectorAll('.list tr').length === 1")
    page.run("document.querySelector('section input').select()")
    page.type("section input[type=search]", "run_")
    page.until("document.querySelectorAll('.list tr').length === 2")
    page.run("document.querySelectorAll('.list input').forEach((box) => box.click())")
    page.click("button", "Compare")
    page.until("document.querySelector('.comparison')?.innerText.includes('Duration')")
    page.until("document.querySelectorAll('.compare .status').length === 2")
    page.click("nav a", "Threads")
    page.until("document.querySelectorAll('.list tr').length === 2")
    assert page.problems == []


def test_a_question_is_answered_and_a_server_embedded(browser: Browser, serve: Serve) -> None:  # noqa: F811
    question = {"question": "Which colour?", "options": ["red", "green"]}
    script = "import http.server as h; h.HTTPServer(('127.0.0.1', 0), h.SimpleHTTPRequestHandler)"
    command = (
        f"echo '<h1>the started page</h1>' > index.html; python3 -c \"{script.removesuffix(')')});"
        'print(s.server_port, flush=True); s.serve_forever()" &'
    ).replace("h.HTTPServer", "s = h.HTTPServer")
    served = serve(
        [
            Turn(calls=[("ask_user", question)]),
            Turn(calls=[("bash", {"command": command})]),
            waiting("go"),
            Turn(text="done"),
        ]
    )
    page = browser.open(served.url)
    page.until("document.querySelector('form.start .check input')")
    page.click(".check input")
    started(page, "ask me")
    page.click(".answer button", "green")
    page.until("document.querySelector('.step.question').innerText.includes('Answered: green')")
    page.click(".servers button", "Embed")
    page.until("document.querySelector('iframe')")
    assert (
        page.run("document.querySelector('iframe').sandbox.value.includes('allow-top-navigation')") is False
    )
    (served.workspace / "go").touch()
    page.until("document.querySelector('.status').textContent === 'completed'")
    assert "green" in str(served.model.bodies[1]["messages"])
    assert page.problems == []


def test_a_page_that_is_loaded_again_knows_the_state_of_the_run(browser: Browser, serve: Serve) -> None:  # noqa: F811
    question = {"question": "Which colour?", "options": ["red", "green"]}
    served = serve([Turn(calls=[("ask_user", question)]), waiting("go"), Turn(text="done")])
    body = {"prompt": "ask me", "runId": "r1", "askUser": True}
    with served.client() as client, client.stream("POST", "/v1/run", json=body) as response:
        lines = response.iter_lines()
        asked = next(line for line in lines if '"type":"question"' in line)
        page = browser.open(f"{served.url}/#/runs/r1")
        page.until("document.querySelector('.live-line')?.textContent.includes('Waiting for an answer')")
        answer = {"id": json.loads(asked[6:])["id"], "text": "blue"}
        assert client.post("/v1/runs/r1/answer", json=answer).status_code == 200
        page.until("document.querySelector('.live-line').textContent.includes('Running bash')")
        page.until("document.querySelector('.answer') === null")
        assert client.post("/v1/runs/r1/pause").status_code == 200
        served.until_read("r1", '"action":"pause"')
        page.run("location.reload()")
        page.until("document.querySelector('.live-line')?.textContent.includes('Paused')")
        (served.workspace / "go").touch()
        page.click(".controls button", "Resume")
        page.until("document.querySelector('.status').textContent === 'completed'")
    assert page.problems == []


def test_a_page_goes_on_after_the_server_was_killed(browser: Browser, serve: Serve) -> None:  # noqa: F811
    with reserved_port() as port:
        served = serve([waiting("go"), Turn(text="the end")], "--port", str(port))
        page = browser.open(served.url)
        started(page, "one")
        page.until("document.querySelector('.live-line').textContent.includes('Running bash')")
        served.kill()
        page.until_text("body", "The connection was lost")
        (served.workspace / "go").touch()
        serve(None, "--port", str(port), model=served.model)
        page.until("document.querySelector('.status').textContent === 'completed'")
        page.until("!document.body.innerText.includes('The connection was lost')")
        page.until_text(".steps", "the end")
        assert page.text(".steps").count("the end") == 1


def test_a_thread_is_continued(browser: Browser, serve: Serve) -> None:  # noqa: F811
    served = serve([Turn(text="first answer"), Turn(text="second answer")])
    page = browser.open(served.url)
    started(page, "one")
    page.until("document.querySelector('.status').textContent === 'completed'")
    page.click("nav a", "Threads")
    page.click(".list a")
    page.until("document.body.innerText.includes('first answer')")
    started(page, "two")
    page.until("document.querySelector('.status').textContent === 'completed'")
    assert "first answer" in str(served.model.bodies[1]["messages"])
    page.click(".panel.request summary")
    page.until(
        "document.querySelector('.panel.request').innerText.includes('2 earlier messages of the thread')"
    )
    assert page.problems == []
