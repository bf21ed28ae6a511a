# Homebrew formula; packaging/dist fills in what stands between @ signs.
class Jabbertts < Formula
  desc "Text-to-speech server and command for the CPU"
  homepage "@URL@"
  url "@URL@/jabbertts-@VERSION@.tar.gz"
  sha256 "@SHA256@"
  license all_of: ["Apache-2.0", "MIT"]

  depends_on "onnx" => :build
  depends_on "pkgconf" => :build
  depends_on "curl"
  depends_on "espeak-ng"
  depends_on "expat"
  depends_on "ffmpeg"
  depends_on "gnutls"
  depends_on "icu4c@78"
  depends_on "jansson"
  depends_on "libao"
  depends_on "libarchive"
  depends_on "libebur128"
  depends_on "libmicrohttpd"
  depends_on "libpq"
  depends_on "libseccomp"
  depends_on "libxml2"
  depends_on "libyaml"
  depends_on "libzip"
  depends_on :linux # the server confines itself with Landlock and seccomp
  depends_on "md4c"
  depends_on "pcre2"
  depends_on "protobuf-c"
  depends_on "sqlite"
  depends_on "wslay"

  # Not in homebrew-core. The sum is that of Debian's copy of this file.
  resource "sonic" do
    url "https://github.com/waywardgeek/sonic/archive/refs/tags/release-0.2.0.tar.gz"
    sha256 "c7827ce576838467590ffa1f935fbe1049e896dfed6c515cf569ad3779c24085"
  end

  def install
    resource("sonic").stage do
      system ENV.cc, "-O2", "-fPIC", "-c", "sonic.c"
      system "ar", "rcs", "libsonic.a", "sonic.o"
      (buildpath/"sonic").install "libsonic.a", "sonic.h"
    end
    ENV.append "CFLAGS", "-I#{buildpath}/sonic"
    ENV.append "LDFLAGS", "-L#{buildpath}/sonic"
    proto = Formula["onnx"].opt_include/"onnx/onnx.proto"
    system "make", "install", "PREFIX=#{prefix}", "CC=#{ENV.cc}", "CFLAGS=-O2 #{ENV["CFLAGS"]}", "ONNXRUNTIME=",
           "ONNX_PROTO=#{proto}"
  end

  service do
    run [opt_bin/"jabbertts", "serve"]
    keep_alive true
  end

  test do
    system bin/"jabbertts", "say", "--quiet", "Hello.", "-o", "hello.wav"
    assert_operator (testpath/"hello.wav").size, :>, 10_000
  end
end
