"""The wheel holds the library, which `make` builds, and the built-in voice; so it is of one platform, and
needs the same libraries (FFmpeg and others) that the library was built with."""
import os
import shutil
import subprocess

from setuptools import setup
from setuptools.command.build_py import build_py
from wheel.bdist_wheel import bdist_wheel

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.environ.get("JABBERTTS_SOURCE", os.path.dirname(HERE))
BUILD = os.environ.get("BUILD", "build")


class Build(build_py):
    def run(self):
        subprocess.run(["make", "-C", ROOT, f"BUILD={BUILD}", f"{BUILD}/libjabbertts.so"], check=True)
        super().run()
        to = os.path.join(self.build_lib, "jabbertts")
        shutil.copy(os.path.join(ROOT, BUILD, "libjabbertts.so"), to)
        shutil.copy(os.path.join(ROOT, "models", "jabber-tiny.gguf"), to)


class Wheel(bdist_wheel):
    def finalize_options(self):
        super().finalize_options()
        self.root_is_pure = False

    def get_tag(self):
        return "py3", "none", super().get_tag()[2]


setup(cmdclass={"build_py": Build, "bdist_wheel": Wheel})
