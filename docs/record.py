#!/usr/bin/env python3
"""Records docs/save-to-live.svg from a real `cargo dev` session.

Run it in a checkout, on Linux, with curl installed and port 8888 free:

    python3 docs/record.py [OUTPUT.svg]

The script starts `cargo dev`, types `curl` commands into a shell and saves `methods/greet.rs`: first a working version,
then an edit, an edit that does not compile, and its repair. The server and the shell run in pseudo-terminals. Every byte of their output is
kept with the time at which it arrived, and the picture replays it at that speed; the pauses for the reader are part of
the session. `methods/greet.rs` must not exist before, and is removed afterwards. The accounts database is a temporary
file. Only Python's standard library is used.
"""

import html
import os
import pty
import re
import select
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
METHOD = ROOT / "methods" / "greet.rs"
PORT = 8888

HELLO = """\
//! Greets the caller by name.
use method_sdk::prelude::*;

#[derive(Deserialize)]
pub struct Params {
    pub name: String,
}

pub async fn invoke(_handler: &mut Handler, params: Params) -> Result<String> {
    Ok(format!("hello {}", params.name))
}
"""
EDITED = HELLO.replace("hello {}", "good morning, {}")
BROKEN = EDITED.replace("params.name))", "params.nam))")
REPAIRED = EDITED.replace("morning", "evening")

CALL = f"""curl localhost:{PORT}/greet -d '{{"name": "alice"}}'"""
CALL_WITH_HEADER = CALL.replace("curl", "curl -si") + " | grep -E 'stale|result'"

# The grid of the picture, in characters and in units of the SVG.
COLUMNS = 96
CELL_WIDTH, LINE_HEIGHT, FONT_SIZE = 8.0, 18.0, 13.3
MARGIN, TITLE_HEIGHT, GAP = 16.0, 26.0, 8.0
PANES = {"editor": ("methods/greet.rs", 11), "shell": ("shell", 10), "server": ("cargo dev", 12)}

TIMEOUT = 900  # seconds for any step; the first build is the longest
START_MARK = "ready in"  # the lines before this one are not shown
END_PAUSE = 4.0

COLOURS = {
    30: "#6e7681", 31: "#ff7b72", 32: "#7ee787", 33: "#e3b341", 34: "#79c0ff", 35: "#d2a8ff", 36: "#76e3ea", 37: "#e6edf3",
}
COLOURS |= {code + 60: colour for code, colour in list(COLOURS.items())}
PLAIN = ("", False, False)  # colour, bold, dim


class Session:
    """Two programs in pseudo-terminals, and every piece of their output with its time."""

    def __init__(self, environment):
        self.events, self.text, self.programs = [], {"server": "", "shell": ""}, {}
        self.start("server", ["cargo", "dev", f"--port={PORT}"], environment)
        self.start("shell", ["bash", "--norc", "--noprofile", "--noediting"], environment | {"PS1": "\n$ "})

    def start(self, pane, command, environment):
        ours, theirs = pty.openpty()
        process = subprocess.Popen(
            command, stdin=theirs, stdout=theirs, stderr=theirs, cwd=ROOT, env=environment, start_new_session=True
        )
        os.close(theirs)
        self.programs[ours] = (pane, process)
        setattr(self, pane, ours)

    def pump(self, seconds):
        """Keeps what is printed within the next `seconds`."""
        end = time.monotonic() + seconds
        while (rest := end - time.monotonic()) > 0:
            for descriptor in select.select(list(self.programs), [], [], rest)[0]:
                pane, process = self.programs[descriptor]
                try:
                    piece = os.read(descriptor, 65536).decode(errors="replace")
                except OSError:
                    sys.exit(f"{process.args[0]} has ended:\n{self.text[pane]}")
                self.text[pane] += piece
                self.events.append((time.monotonic(), pane, piece))

    def expect(self, pane, text, after=0):
        """Waits until `text` is printed in this pane, behind position `after`."""
        end = time.monotonic() + TIMEOUT
        while text not in re.sub(r"\x1b\[[0-9;]*m", "", self.text[pane][after:]):
            if time.monotonic() > end:
                sys.exit(f"{text!r} was not printed:\n{self.text[pane][after:]}")
            self.pump(0.01)

    def type(self, command, answer):
        """Types a command into the shell and waits for a part of its output."""
        seen = len(self.text["shell"])
        for start in range(0, len(command), 2):
            os.write(self.shell, command[start : start + 2].encode())
            self.pump(0.05)
        self.pump(0.3)
        os.write(self.shell, b"\n")
        self.expect("shell", answer, seen + len(command))

    def save(self, source, report):
        """Saves the method and waits for what the server says about it."""
        seen = len(self.text["server"])
        METHOD.write_text(source)
        self.events.append((time.monotonic(), "editor", source))
        self.expect("server", report, seen)

    def stop(self):
        for _, process in self.programs.values():
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def record():
    """Plays the session, and returns its events and the time at which the picture starts."""
    if METHOD.exists():
        sys.exit(f"{METHOD.relative_to(ROOT)} already exists")
    with tempfile.TemporaryDirectory() as directory:
        environment = dict(os.environ, SIMPLEAPI_SQLITE_PATH=f"{directory}/record.db", TERM="xterm", NO_PROXY="localhost")
        environment.pop("NO_COLOR", None)
        session = Session(environment)
        try:
            session.expect("server", "ready in")
            session.save(HELLO, "reloaded in")
            session.type(CALL, '{"result":"hello alice"}')
            session.pump(0.5)
            start = time.monotonic()
            session.pump(2.5)
            session.save(EDITED, "reloaded in")
            session.pump(1)
            session.type(CALL, '{"result":"good morning, alice"}')
            session.pump(2.5)
            session.save(BROKEN, "error")
            session.pump(3)
            session.type(CALL_WITH_HEADER, '{"result":"good morning, alice"}')
            session.pump(3)
            session.save(REPAIRED, "reloaded in")
            session.pump(1)
            session.type(CALL, '{"result":"good evening, alice"}')
            session.pump(0.5)
        finally:
            session.stop()
            METHOD.unlink(missing_ok=True)
    return session.events, start


class Screen:
    """The last rows of what a program has printed, as styled runs of text."""

    def __init__(self, rows):
        self.rows, self.lines, self.style, self.rest = rows, [[]], PLAIN, ""

    def feed(self, piece):
        text = self.rest + piece
        self.rest = ""
        if unfinished := re.search(r"\x1b(\[[0-9;?]*)?$", text):
            text, self.rest = text[: unfinished.start()], unfinished.group()
        for control, character in re.findall(r"(\x1b\[[0-9;?]*[A-Za-z])|([^\x1b])", text):
            if control.endswith("m"):
                self.restyle(control[2:-1])
            elif character == "\n" or len(self.lines[-1]) == COLUMNS:
                self.lines.append([])
            if character and character not in "\r\n":
                self.lines[-1].append((character, self.style))

    def restyle(self, codes):
        colour, bold, dim = self.style
        for code in (int(code or 0) for code in codes.split(";")):
            if code == 0:
                colour, bold, dim = PLAIN
            elif code in (1, 2):
                bold, dim = (True, dim) if code == 1 else (bold, True)
            elif code == 39 or code in COLOURS:
                colour = COLOURS.get(code, "")
        # `38;5;N` is how rustc asks for its bright colours.
        if found := re.search(r"38;5;(\d+)", codes):
            colour = COLOURS.get(int(found[1]) + (30 if int(found[1]) < 8 else 82), "")
        self.style = (colour, bold, dim)

    def snapshot(self):
        # The prompt begins with a line break, because most answers end without one.
        return [tuple(line) for line in self.lines if line][-self.rows :]


def highlight(line):
    """A line of Rust, as styled characters."""
    styles = {"comment": ("#8b949e", False, False), "string": ("#a5d6ff", False, False), "keyword": ("#ff7b72", False, False)}
    token = r'(?P<comment>//.*)|(?P<string>"[^"]*")|(?P<keyword>\b(?:use|pub|struct|async|fn|mut)\b)|(?P<other>.)'
    return tuple(
        (character, styles.get(found.lastgroup, PLAIN)) for found in re.finditer(token, line) for character in found[0]
    )


def rows_over_time(events, start):
    """Each row of the picture, with the times between which it is shown: (pane, row, content, changed, from, to)."""
    screens = {pane: Screen(PANES[pane][1]) for pane in ("shell", "server")}
    source, current, finished, is_marked = "", {}, [], False

    def show(now, pane, lines):
        rows = dict(enumerate(lines))
        for row in range(PANES[pane][1]):
            before, after = current.get((pane, row)), rows.get(row)
            if before is not None and before[0] != after:
                finished.append((pane, row, *before[0], before[1], now))
                del current[pane, row]
            if after is not None and (before is None or before[0] != after):
                current[pane, row] = (after, now)

    for moment, pane, piece in events:
        now = max(0.0, moment - start)
        if pane == "editor":
            before, source = source.splitlines(), piece
            changed = [now > 0 and line not in before for line in source.splitlines()]
            show(now, pane, [(highlight(line), change) for line, change in zip(source.splitlines(), changed)])
            continue
        if pane == "server" and not is_marked:
            if START_MARK not in piece:
                continue
            # The line that holds the mark is the first that is shown.
            is_marked, piece = True, piece[piece.rfind("\n", 0, piece.index(START_MARK)) + 1 :]
        screens[pane].feed(piece)
        show(now, pane, [(line, False) for line in screens[pane].snapshot()])
    length = max(moment for moment, _, _ in events) - start + END_PAUSE
    finished += [(pane, row, *content, since, length) for (pane, row), (content, since) in current.items()]
    return [row for row in finished if row[5] > row[4]], length


def runs(line):
    """Characters of one style that stand side by side: (column, text, style)."""
    result = []
    for column, (character, style) in enumerate(line):
        if result and result[-1][2] == style:
            result[-1][1].append(character)
        else:
            result.append((column, [character], style))
    return [(column, "".join(text), style) for column, text, style in result if "".join(text).strip()]


def draw(rows, length):
    """The animated picture."""
    width = 2 * MARGIN + COLUMNS * CELL_WIDTH
    tops, y = {}, 1.0
    for pane, (_, count) in PANES.items():
        tops[pane] = y
        y += TITLE_HEIGHT + count * LINE_HEIGHT + 2 * GAP
    height = y + 1
    keyframes, body = [], []
    for number, (pane, row, line, changed, since, until) in enumerate(sorted(rows, key=lambda row: (row[4], row[0], row[1]))):
        baseline = tops[pane] + TITLE_HEIGHT + GAP + (row + 0.75) * LINE_HEIGHT
        parts = []
        if changed:
            parts.append(f'<rect x="1" y="{baseline - 0.75 * LINE_HEIGHT:g}" width="{width - 2:g}" height="{LINE_HEIGHT:g}" class="c"/>')
        for column, text, (colour, bold, dim) in runs(line):
            text = text.rstrip()
            column += len(text) - len(text.lstrip())
            text = text.lstrip()
            style = (f' fill="{colour}"' if colour else "") + (' font-weight="bold"' if bold else "") + (' opacity="0.65"' if dim else "")
            parts.append(
                f'<text x="{MARGIN + column * CELL_WIDTH:g}" y="{baseline:g}" textLength="{len(text) * CELL_WIDTH:g}"{style}>{html.escape(text)}</text>'
            )
        if not parts:
            continue
        if since <= 0 and until >= length:
            body.append(f"<g>{''.join(parts)}</g>")
            continue
        # Shown at the start is shown by viewers without animation.
        name, (first, last) = f"r{number}", (100 * since / length, 100 * until / length)
        steps = [f"0%{{visibility:{'visible' if since <= 0 else 'hidden'}}}"]
        if since > 0:
            steps.append(f"{first:.3f}%{{visibility:visible}}")
        if until < length:
            steps.append(f"{last:.3f}%{{visibility:hidden}}")
        keyframes.append(f"@keyframes {name}{{{''.join(steps)}}}")
        hidden = "" if since <= 0 else ' visibility="hidden"'
        body.append(f'<g class="a" style="animation-name:{name}"{hidden}>{"".join(parts)}</g>')
    frame = [f'<rect x="1" y="1" width="{width - 2:g}" height="{height - 2:g}" rx="8" class="p"/>']
    for pane, (title, _) in PANES.items():
        top, right = tops[pane], width - 1
        edge = "a7 7 0 0 1 7 7" if top == 1 else "h7v7"
        start = f"M1 {top + 7:g}" + ("a7 7 0 0 1 7-7" if top == 1 else "v-7h7")
        frame.append(f'<path d="{start}H{right - 7:g}{edge}V{top + TITLE_HEIGHT:g}H1z" class="b"/>')
        frame.append(f'<text x="{MARGIN:g}" y="{tops[pane] + 18:g}" class="t">{title}</text>')
    style = f"""
text{{font:{FONT_SIZE}px ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;white-space:pre}}
.p{{fill:#0d1117;stroke:#3d444d}}.b{{fill:#1f242c;stroke:#3d444d}}.t{{fill:#8b949e}}.c{{fill:#1f6feb;opacity:.28}}
.a{{animation:{length:.2f}s step-end infinite}}
@media (prefers-reduced-motion:reduce){{.a{{animation:none}}}}
"""
    return f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" width="{width:g}" height="{height:g}" fill="#e6edf3" role="img" aria-labelledby="title desc">
<title id="title">A saved method is live without a restart</title>
<desc id="desc">A recorded session of cargo dev: a method is edited, broken and repaired. Each version that compiles answers the next call.</desc>
<style>{style}{chr(10).join(keyframes)}
</style>
{chr(10).join(frame)}
{chr(10).join(body)}
</svg>
"""


def main():
    output = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "save-to-live.svg"
    events, start = record()
    picture = draw(*rows_over_time(events, start))
    if str(ROOT) in picture:
        sys.exit("the picture shows where the checkout is; it was not written")
    output.write_text(picture)
    print(f"wrote {output}")


if __name__ == "__main__":
    main()
