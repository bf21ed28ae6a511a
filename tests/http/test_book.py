"""jabbertts book: an EPUB with a table of contents, cover and tags becomes an M4B and an MP3 with chapters and
captions; other kinds of books; a book that is ended goes on; damaged books are refused."""
import json
import os
import re
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
import zipfile
import zlib

import live
from live import check

directory = tempfile.TemporaryDirectory()
ENV = {**{k: v for k, v in os.environ.items() if not k.startswith("JABBERTTS_")},
       "XDG_CONFIG_HOME": directory.name, "XDG_DATA_HOME": directory.name, "PULSE_RUNTIME_PATH": os.path.join(directory.name, "pulse")}


def path(name):
    return os.path.join(directory.name, name)


def book(*flags, **more):
    return subprocess.run([live.BINARY, "book", *flags, "--threads", "1"], env=ENV, capture_output=True, text=True, timeout=live.TIMEOUT, **more)


def png():
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 2, 2, 8, 2, 0, 0, 0)) + chunk(b"IDAT", zlib.compress(b"\0\xff\0\0\0\xff\0" * 2)) + chunk(b"IEND", b"")


def epub(name, ncx=False):
    page = '<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml"><head><title>x</title><style>p{}</style></head><body>%s</body></html>'
    toc = [("text/one.xhtml", "The Beginning"), ("text/two%20.xhtml", "The Middle"), ("text/two%20.xhtml#end", "The End &amp; more")]
    nav = page % ('<nav epub:type="landmarks" xmlns:epub="http://www.idpf.org/2007/ops"><a href="text/one.xhtml">Start</a></nav><nav epub:type="toc" '
                  'xmlns:epub="http://www.idpf.org/2007/ops"><ol>%s</ol></nav>' % "".join(f'<li><a href="{h}">{t}</a></li>' for h, t in toc))
    old = '<ncx xmlns="http://www.daisy.org/z3986/2005/ncx/"><navMap>%s</navMap></ncx>' % "".join(
        f'<navPoint><navLabel><text>{t}</text></navLabel><content src="{h}"/></navPoint>' for h, t in toc)
    contents = '<item id="n" href="nav.xhtml" properties="nav" media-type="application/xhtml+xml"/>' if not ncx else \
        '<item id="n" href="toc.ncx" media-type="application/x-dtbncx+xml"/><item id="c2" href="c.png" media-type="image/png"/>'
    cover = '<meta name="cover" content="c2"/>' if ncx else ""
    opf = f'''<?xml version="1.0"?><package xmlns="http://www.idpf.org/2007/opf" version="3.0"><metadata xmlns:dc="http://purl.org/dc/elements/1.1/">
<dc:title>A Small   Book</dc:title><dc:creator>Some One</dc:creator><dc:language>en</dc:language><dc:date>1901</dc:date>{cover}</metadata><manifest>{contents}
<item id="c" href="c.png" media-type="image/png" {'' if ncx else 'properties="cover-image"'}/><item id="a" href="text/one.xhtml" media-type="application/xhtml+xml"/>
<item id="b" href="text/two%20.xhtml" media-type="application/xhtml+xml"/><item id="d" href="text/three.xhtml" media-type="application/xhtml+xml"/></manifest>
<spine><itemref idref="a"/><itemref idref="b"/><itemref idref="n" linear="no"/><itemref idref="d"/></spine></package>'''
    with zipfile.ZipFile(path(name), "w") as z:
        z.writestr("META-INF/container.xml", '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles><rootfile full-path="OEBPS/p.opf"/></rootfiles></container>')
        z.writestr("OEBPS/p.opf", opf)
        z.writestr("OEBPS/nav.xhtml", nav)
        z.writestr("OEBPS/toc.ncx", old)
        z.writestr("OEBPS/c.png", png())
        z.writestr("OEBPS/text/one.xhtml", page % "<h1>One</h1><p>It was a <i>fine</i> day.</p><p>They met.</p><script>var no;</script>")
        z.writestr("OEBPS/text/two .xhtml", page % '<p>In the middle &#8212; somewhere.</p><h2 id="end">Last</h2><p>They left.</p>')
        z.writestr("OEBPS/text/three.xhtml", page % "<p>And this belongs to the end.</p>")
    return path(name)


def probe(name):
    if not shutil.which("ffprobe"):
        return None
    done = subprocess.run(["ffprobe", "-v", "error", "-show_chapters", "-show_format", "-show_streams", "-of", "json", path(name)], capture_output=True, text=True)
    check(done.returncode == 0 and not done.stderr, "ffprobe reads " + name, done.stderr)
    return json.loads(done.stdout)


def captions(name):
    return re.findall(r"\d+\n(\d\d):(\d\d):(\d\d),(\d{3}) --> (\d\d):(\d\d):(\d\d),(\d{3})\n(.*)\n", open(path(name)).read())


def check_book(name):
    p = probe(name)
    texts = captions(os.path.splitext(name)[0] + ".srt")
    said = " ".join(x[8] for x in texts)
    check(all(w in said for w in ("fine day", "somewhere", "They left", "this belongs to the end")) and "var no" not in said, "what is said", said)
    times = [int(x[0]) * 3600 + int(x[1]) * 60 + int(x[2]) + int(x[3]) / 1000 for x in texts]
    check(times == sorted(times) and len(texts) >= 6, "captions in order", times)
    check(not os.path.exists(path(name + ".parts")), "the parts are gone", "")
    if not p:
        return
    chapters = [(c["tags"]["title"], float(c["start_time"]), float(c["end_time"])) for c in p["chapters"]]
    check([c[0] for c in chapters] == ["The Beginning", "The Middle", "The End & more"], "chapters", chapters)
    check(all(abs(a[2] - b[1]) < 0.01 for a, b in zip(chapters, chapters[1:])) and chapters[0][1] == 0, "one behind the other", chapters)
    length = float(p["format"]["duration"])
    check(abs(chapters[-1][2] - length) < 0.2, "to the end", (chapters, length))
    late = next(t for t, x in zip(times, texts) if "They left" in x[8])
    check(chapters[2][1] <= late < chapters[2][2], "captions are in their chapter", (late, chapters))
    tags = p["format"]["tags"]
    check(tags["title"] == "A Small Book" and tags["artist"] == "Some One" and tags["genre"] == "Audiobook" and tags["date"] == "1901", "tags", tags)
    kinds = [(s["codec_type"], s["codec_name"], s["disposition"]["attached_pic"]) for s in p["streams"]]
    check(("video", "png", 1) in kinds and kinds[0][0] == "audio", "a cover", kinds)


def books():
    for source, name in (epub("a.epub"), "a.m4b"), (epub("b.epub", ncx=True), "b.mp3"):
        r = book(source, "-o", path(name))
        check(r.returncode == 0 and "3 chapters" in r.stderr, name, r.stderr)
        check_book(name)
    r = book(path("a.epub"), "-o", path("a.m4b"))
    check(r.returncode == 1 and "--force" in r.stderr, "a book that is there", r.stderr)
    check(book(path("a.epub"), "-o", path("a.m4b"), "--force").returncode == 0, "--force", "")
    open(path("mine.srt"), "w").write("mine")
    r = book(path("a.epub"), "-o", path("mine.m4b"))
    check(r.returncode == 1 and "mine.srt is there" in r.stderr and open(path("mine.srt")).read() == "mine", "captions of another", r.stderr)
    open(path("c.md"), "w").write("# First\n\nHello, world.\n\n## Second\n\nANN: Good morning.\n\nGood night.\n")
    open(path("cast"), "w").write("# who\nANN = amy\n")
    r = book(path("c.md"), "-o", path("c.m4b"), "--cast", path("cast"))
    check(r.returncode == 0 and "2 chapters" in r.stderr, "Markdown with a cast", r.stderr)
    check("ANN" not in open(path("c.srt")).read(), "names are not said", "")
    open(path("d.html"), "w").write("<html><head><title>T</title></head><body><h1>A</h1>One &amp; two.<h2>B</h2><p>Three<br>four.")
    r = book(path("d.html"), "-o", path("d.mp3"))
    check(r.returncode == 0 and "2 chapters" in r.stderr, "HTML", r.stderr)


def refused():
    with open(path("e.epub"), "wb") as f:
        f.write(open(epub("a.epub"), "rb").read()[:300])
    with zipfile.ZipFile(path("f.epub"), "w") as z:
        z.writestr("META-INF/container.xml", "<container><rootfile full-path='../../etc/passwd'/></container>")
    open(path("g.txt"), "w").write("\n\n")
    for name, why in ("e.epub", "not a ZIP file"), ("f.epub", "package document"), ("g.txt", "no text"), ("none.md", "cannot read"), ("none.epub", "cannot read"):
        r = book(path(name), "-o", path("x.m4b"))
        check(r.returncode == 1 and why in r.stderr and not os.path.exists(path("x.m4b")), name, r.stderr)
    check(book(path("a.epub"), "-o", path("x.ogg")).returncode == 2, "another ending", "")


def goes_on():
    text = "".join(f"# Part {i}\n\n" + f"This is part {i}, and it has a few sentences. Here is another one. " * 2 + "\n\n" for i in range(5))
    open(path("h.md"), "w").write(text)
    check(book(path("h.md"), "-o", path("whole.mp3")).returncode == 0, "undisturbed", "")
    p = subprocess.Popen([live.BINARY, "book", path("h.md"), "-o", path("h.mp3"), "--threads", "1"], env=ENV, stderr=subprocess.DEVNULL)
    live.wait_until(lambda: os.path.exists(path("h.mp3.parts")) and len([f for f in os.listdir(path("h.mp3.parts")) if f.endswith(".wav")]) >= 2)
    p.send_signal(signal.SIGKILL)
    p.wait()
    check(not os.path.exists(path("h.mp3")), "nothing half", "")
    open(path("h.srt"), "w").write("half")  # as if it was ended between its captions and the book
    r = book(path("h.md"), "-o", path("h.mp3"))
    check(r.returncode == 0 and "chapters were there before" in r.stderr, "it goes on", r.stderr)
    check(open(path("h.mp3"), "rb").read() == open(path("whole.mp3"), "rb").read(), "the same book", "")
    check(open(path("h.srt")).read() == open(path("whole.srt")).read(), "the same captions", "")


def options_change():
    open(path("i.md"), "w").write("# One\n\nA sentence.\n\n# Two\n\nAnother.\n")
    check(book(path("i.md"), "-o", path("i.mp3")).returncode == 0, "undisturbed", "")
    for flags in (["--repair", "0"], ["--carry-markers", "off"]):
        p = subprocess.Popen([live.BINARY, "book", path("i.md"), "-o", path("j.mp3"), "--threads", "1"], env=ENV, stderr=subprocess.DEVNULL)
        live.wait_until(lambda: os.path.exists(path("j.mp3.parts")) and any(f.endswith(".wav") for f in os.listdir(path("j.mp3.parts"))) or p.poll() is not None)
        p.send_signal(signal.SIGKILL)
        p.wait()
        r = book(path("i.md"), "-o", path("j.mp3"), "--force", *flags)
        check(r.returncode == 0 and "there before" not in r.stderr, "a chapter of other options is made again", r.stderr)


for test in books, refused, goes_on, options_change:
    test()
sys.exit(live.report())
