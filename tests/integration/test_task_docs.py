"""The module that docs/tasks.md shows is run, and answers what the page shows."""

import re
import time
from collections.abc import Callable
from pathlib import Path

from scalability.testing.client import HTTPClient
from scalability.testing.processes import CHECKOUT, Process

PAGE = (CHECKOUT / "docs" / "tasks.md").read_text()


def test_the_pages_module_runs_as_the_page_says(start: Callable[..., Process], http: HTTPClient, tmp_path: Path) -> None:
    (source,) = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    (tmp_path / "my_tasks.py").write_text(source)
    port = start("scalelab-worker", "--tasks", "my_tasks", cwd=tmp_path).wait_listening()
    queued = [http.post(port, "/task", json=body) for body in ({"task": "resize", "width": 100}, {"task": "remind", "seconds": 0.1})]
    assert [answer.status for answer in queued] == [202, 202]
    results = []
    for answer in queued:
        deadline = time.monotonic() + 10
        while (seen := http.get(port, answer.headers["location"]).json())["status"] != "succeeded":
            assert time.monotonic() < deadline, seen
            time.sleep(0.05)
        results.append(seen["result"])
    assert results == [100, queued[1].json()["task_id"]]
    unknown = http.post(port, "/task", json={"task": "resise"})
    assert unknown.status == 422
    assert unknown.text in PAGE
