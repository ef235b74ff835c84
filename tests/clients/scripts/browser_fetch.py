"""A page of the server asks it with fetch: python browser_fetch.py CHROMIUM URL

Speaks DevTools through the pipe of --remote-debugging-pipe: JSON, ended by a zero byte, to the
browser's file descriptor 3 and from its 4.
"""

import json
import os
import subprocess
import sys
import tempfile
from typing import Any, BinaryIO

FETCH = """
(async () => {
  const ask = async (path, document) => {
    const answer = await fetch(path, document && {
      method: "POST", headers: {"content-type": "application/json"}, body: JSON.stringify(document),
    });
    return [answer.status, await answer.json()];
  };
  const row = [5.1, 3.5, 1.4, 0.2];
  const tensor = {name: "X", shape: [1, 4], datatype: "FP32", data: row};
  return JSON.stringify({
    page: location.pathname,
    health: await ask("/health"),
    predict: await ask("/predict", {features: row}),
    invocations: await ask("/invocations", {inputs: [row]}),
    infer: await ask("/v2/models/iris/infer", {inputs: [tensor]}),
    unknown: await ask("/v2/models/nobody/infer", {inputs: [tensor]}),
  });
})()
"""


class Browser:
    """One Chromium, and what it was told."""

    def __init__(self, program: str, profile: str) -> None:
        theirs_in, ours_out = os.pipe()
        ours_in, theirs_out = os.pipe()
        # Their ends under the numbers that Chromium looks at, whatever stands there now.
        command = f'exec 3<&{theirs_in} 4>&{theirs_out}; exec "$@"'
        options = [
            "--headless=new",
            "--no-sandbox",  # which needs rights that a container lacks; the page is our own
            "--disable-gpu",
            "--no-proxy-server",
            "--remote-debugging-pipe",
            f"--user-data-dir={profile}",
        ]
        self.process = subprocess.Popen(
            ["bash", "-c", command, "bash", program, *options],
            pass_fds=(theirs_in, theirs_out),
            stderr=subprocess.DEVNULL,
        )
        os.close(theirs_in)
        os.close(theirs_out)
        self._out: BinaryIO = os.fdopen(ours_out, "wb", buffering=0)
        self._in: BinaryIO = os.fdopen(ours_in, "rb")
        self._asked = 0

    def ask(self, method: str, session: str | None = None, **params: Any) -> Any:
        """The result of a command; events in between are passed over."""
        self._asked += 1
        message = {"id": self._asked, "method": method, "params": params}
        if session:
            message["sessionId"] = session
        self._out.write(json.dumps(message).encode() + b"\0")
        while (answer := self._read()).get("id") != self._asked:
            pass
        return answer["result"]

    def until(self, method: str) -> None:
        """Wait for an event."""
        while self._read().get("method") != method:
            pass

    def close(self) -> None:
        """End it."""
        self.ask("Browser.close")
        self.process.wait(10)
        self._out.close()
        self._in.close()

    def _read(self) -> Any:
        found = bytearray()
        while (byte := self._in.read(1)) != b"\0":
            if not byte:
                raise EOFError("the browser went away")
            found += byte
        return json.loads(found)


def ask(program: str, url: str) -> str:
    """What the page gets."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        browser = Browser(program, profile)
        target = browser.ask("Target.createTarget", url="about:blank")["targetId"]
        session = browser.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        browser.ask("Page.enable", session)
        browser.ask("Page.navigate", session, url=url + "/docs")
        browser.until("Page.loadEventFired")
        told = browser.ask(
            "Runtime.evaluate", session, expression=FETCH, awaitPromise=True, returnByValue=True
        )
        browser.close()
    return str(told["result"]["value"])


print(ask(sys.argv[1], sys.argv[2]))
