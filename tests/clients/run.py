#!/usr/bin/env python3
"""tests/clients/run.py - OpenAI's clients in five languages, programs that speak through them, and real browsers against a
live server, numbers as another program spells them, the Hugging Face hub's own client against the tests' hub, exported
graphs in ONNX Runtime, and the files for Kubernetes against its schemas.

$BROWSERS names the browsers, "chrome firefox" by default.  $CLIENTS "core" leaves out what takes minutes to install or
build: the clients in Go, Rust and Java, LiteLLM, LiveKit and pipecat.  Installs the clients below $BUILD/clients on first use, which needs the network: without it they are
skipped, which is neither passed nor failed.  Last line: `N passed, N failed`."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import venv

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "http"), os.path.join(HERE, "..", "hub")]
import fixture  # noqa: E402
import live  # noqa: E402
import puller  # noqa: E402

PYTHON = ["openai==3.54.0", "jsonschema==4.26.0", "openapi-spec-validator==0.9.0",
          "num2words==0.5.14", "wyoming==1.10.2", "elevenlabs==2.78.0", "fish-audio-sdk==1.3.0", "websockets==17.4", "huggingface_hub==2.4.0", "numpy==2.4.6", "onnx==1.23.2", "onnxruntime==1.32.0", "kubernetes-validate==1.31.0"]
AGENTS = ["litellm==1.110.2", "livekit-plugins-openai==1.8.9", "pipecat-ai[openai]==1.14.0"]  # of versions of openai of their own
GO = "github.com/openai/openai-go/v3@v3.99.0"
CARGO = """[package]
name = "client"
version = "0.1.0"
edition = "2021"
[dependencies]
async-openai = { version = "=0.43.0", features = ["audio", "model"] }
tokio = { version = "1", features = ["macros", "rt"] }
"""
MAVEN = """<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
<groupId>client</groupId><artifactId>client</artifactId><version>1</version><dependencies><dependency>
<groupId>com.openai</groupId><artifactId>openai-java</artifactId><version>4.101.0</version>
</dependency></dependencies></project>
"""
NODE = ["ai@7.0.173", "@ai-sdk/openai@4.0.118", "openai@6.30.1", "puppeteer-core@24.43.1", "axe-core@4.14.1"]
TEST_S = 400  # of one test; a browser needs about 40 s where nothing else runs
KUBERNETES = os.path.join(HERE, "..", "..", "packaging", "kubernetes", "jabbertts.yaml")
DIR = os.path.abspath(os.path.join(os.environ.get("BUILD", "build"), "clients"))
CLIP = ("Good morning. It is a fine day to be outside and to talk about the weather, and nobody has "
        "anything better to do.")


def installed(what, stamp):
    path = os.path.join(DIR, stamp)
    return os.path.exists(path) and open(path).read() == " ".join(what)


def environment(name, what):
    """The interpreter of a virtual environment with these packages."""
    python = os.path.join(DIR, name, "bin", "python")
    if not installed(what, name + ".stamp"):
        venv.create(os.path.join(DIR, name), with_pip=True, clear=True)
        subprocess.run([python, "-m", "pip", "install", "-q", "--disable-pip-version-check", *what], check=True)
        open(os.path.join(DIR, name + ".stamp"), "w").write(" ".join(what))
    return python


def folder(name, **files):
    """A folder for another language's tools, with copies of our sources."""
    path = os.path.join(DIR, name)
    os.makedirs(path, exist_ok=True)
    for file, text in files.items():
        with open(os.path.join(path, file), "w") as f:
            f.write(text)
    return path


def source(name):
    with open(os.path.join(HERE, name)) as f:
        return f.read()


def go():
    path = folder("go", **{"main.go": source("openai_go.go")})
    if not os.path.exists(os.path.join(path, "go.mod")):
        subprocess.run(["go", "mod", "init", "client"], cwd=path, check=True, stderr=subprocess.DEVNULL)
    subprocess.run(["go", "get", GO], cwd=path, check=True, stderr=subprocess.DEVNULL)
    subprocess.run(["go", "build", "-o", "client", "."], cwd=path, check=True)
    return [os.path.join(path, "client")]


def rust():
    path = folder("rust", **{"Cargo.toml": CARGO})
    folder(os.path.join("rust", "src"), **{"main.rs": source("openai_rust.rs")})
    subprocess.run(["cargo", "build", "-q"], cwd=path, check=True)
    return [os.path.join(path, "target", "debug", "client")]


def java():
    path = folder("java", **{"pom.xml": MAVEN})
    subprocess.run(["mvn", "-q", "-B", "dependency:copy-dependencies", "-DoutputDirectory=jars"], cwd=path, check=True)
    return ["java", "-cp", os.path.join(path, "jars", "*"), os.path.join(HERE, "OpenaiJava.java")]


# what needs a tool chain, its program, and how to make the command
BUILT = [("openai_go.go", "go", go), ("openai_rust.rs", "cargo", rust), ("OpenaiJava.java", "mvn", java),
         ("agents_python.py", "python3", lambda: [environment("agents", AGENTS), os.path.join(HERE, "agents_python.py")])]


def built():
    """(name, command) of each that can be built here; the others are skipped, aloud."""
    if os.environ.get("CLIENTS") == "core":
        print("  skip  clients in Go, Rust and Java, LiteLLM, LiveKit, pipecat: $CLIENTS is core")
        return
    for name, tool, make in BUILT:
        try:
            if not shutil.which(tool):
                raise OSError(tool + " is not installed")
            yield name, make()
        except (OSError, subprocess.CalledProcessError) as e:
            print(f"  skip  clients/{name}: {e}")


def install():
    os.makedirs(DIR, exist_ok=True)
    python = environment("venv", PYTHON)
    if not installed(NODE, "node.stamp"):
        subprocess.run(["npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", DIR, *NODE], check=True)
        open(os.path.join(DIR, "node.stamp"), "w").write(" ".join(NODE))
    return python


@contextlib.contextmanager
def loudspeaker(tmp):
    """A sound server without a device: Firefox's clock of sound stands still where there is none.  Its own
    directory is $XDG_RUNTIME_DIR/pulse, so the socket must not be called so."""
    path = os.path.join(tmp, "loudspeaker")

    def listens():
        with socket.socket(socket.AF_UNIX) as s:
            return s.connect_ex(path) == 0
    p = subprocess.Popen(["pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1", "--load=module-null-sink",
                          f"--load=module-native-protocol-unix socket={path} auth-anonymous=1"],
                         env={**os.environ, "XDG_RUNTIME_DIR": tmp, "HOME": tmp}, stdout=subprocess.DEVNULL,
                         stderr=subprocess.DEVNULL)
    if not live.wait_until(listens):
        raise SystemExit("pulseaudio does not listen at " + path)
    try:
        yield {"PULSE_SERVER": "unix:" + path}
    finally:
        p.terminate()
        p.wait()


@contextlib.contextmanager
def several_models():
    """A server of the built-in voice and of an installed model whose licence forbids commerce."""
    with fixture.Hub() as hub, puller.Home(hub) as home:
        hub.add_directory("jabber/nano", puller.NANO, licence="cc-by-nc-4.0")
        done = home.pull("jabber/nano", "--type", "q8")
        if done.code:
            raise SystemExit(f"pull: {done}")
        with live.Server("--model-dir", home.models, "--model", "jabber-tiny", "--model", "nano",
                         "--voice-dir", os.path.join(home.tmp.name, "voices")) as server:
            yield server


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return str(s.getsockname()[1])


def bounded(command, env):
    """A test's exit code and what it said.  One that hangs is ended with all that it started."""
    with tempfile.TemporaryFile("w+") as log:
        p = subprocess.Popen(command, env=env, stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                             start_new_session=True)
        try:
            code = p.wait(TEST_S)
        except subprocess.TimeoutExpired:
            code = f"not ended after {TEST_S} s"
            os.killpg(p.pid, signal.SIGKILL)
            p.wait()
        log.seek(0)
        return code, log.read() + (str(code) if code else "")


def main():
    try:
        python = install()
    except (OSError, subprocess.CalledProcessError) as e:
        print(f"  skip  clients: cannot be installed: {e}\n0 passed, 0 failed")
        return 0
    with tempfile.TemporaryDirectory() as tmp:
        keys = os.path.join(tmp, "keys")
        with open(keys, "w") as f:
            f.write("test: open-sesame\n")
        clip = os.path.join(tmp, "clip.wav")
        subprocess.run([live.BINARY, "say", CLIP, "-o", clip], check=True, stderr=subprocess.DEVNULL)
        port = free_port()
        with live.Server("--voice-dir", os.path.join(tmp, "voices"), "--wyoming", port) as plain, live.Server("--api-keys-file", keys) as keyed, \
                several_models() as several:
            env = {**os.environ, "CLIENTS_URL": f"http://127.0.0.1:{plain.port}",
                   "CLIENTS_KEYED_URL": f"http://127.0.0.1:{keyed.port}",
                   "CLIENTS_SEVERAL_URL": f"http://127.0.0.1:{several.port}", "CLIENTS_TMP": tmp,
                   "CLIENTS_WYOMING": f"127.0.0.1:{port}",
                   "CLIENTS_CLIP": clip, "CLIENTS_MODULES": os.path.join(DIR, "node_modules")}
            node = ["node", "--test"]
            tests = [("openai_python.py", [python], {}), ("openapi.py", [python], {}), ("num2words_check.py", [python], {}),
                     ("hub_python.py", [python], {}), ("onnx_graphs.py", [python], {}), ("wyoming_client.py", [python], {}),
                     ("elevenlabs_python.py", [python], {}), ("fish_python.py", [python], {}),
                     ("websocket_client.py", [python], {}),
                     ("openai_javascript.mjs", node, {}), ("vercel_ai.mjs", node, {})]
            for browser, programs in (("chrome", [os.environ.get("CHROMIUM", "chromium")]),
                                      ("firefox", [os.environ.get("FIREFOX", "firefox-esr"), "pulseaudio"])):
                missing = [p for p in programs if not shutil.which(p)]
                if browser not in os.environ.get("BROWSERS", "chrome firefox"):
                    print(f"  skip  clients/browser.mjs {browser}: not among $BROWSERS")
                elif missing:
                    print(f"  skip  clients/browser.mjs {browser}: {' and '.join(missing)} not installed")
                else:
                    tests.append(("browser.mjs", node, {"BROWSER": browser}))
            tests = [(name, [*command, os.path.join(HERE, name)], more) for name, command, more in tests]
            tests += [(name, command, {}) for name, command in built()]
            tests.append(("kubernetes", [python, "-m", "kubernetes_validate", "--strict", KUBERNETES], {}))
            failed = 0
            for name, command, more in tests:
                with loudspeaker(tmp) if more.get("BROWSER") == "firefox" else contextlib.nullcontext({}) as sound:
                    code, said = bounded(command, {**env, **more, **sound})
                print(("  pass  " if code == 0 else "  FAIL  ") + " ".join(["clients/" + name, *more.values()]))
                if code:
                    failed += 1
                    print(said[-8000:])
    print(f"{len(tests) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
