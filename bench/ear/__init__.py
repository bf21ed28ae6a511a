"""What listens for bench/quality: words by Whisper, quality by DNSMOS, voices by Resemblyzer's network,
and what can be counted in the samples themselves.  All of it runs on the CPU."""
