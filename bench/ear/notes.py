"""What a listener said of a sound, kept in a folder by the sound's hash, so that no sound is listened to twice."""

import hashlib
import json
import os


class Notes:
    def __init__(self, folder):
        self.folder = folder
        os.makedirs(folder, exist_ok=True)

    def of(self, listener, pcm, listen):
        """The note of this listener (a word) on these samples; listen() makes it, anything that JSON holds."""
        note = os.path.join(self.folder, f"{hashlib.sha256(pcm.tobytes()).hexdigest()}.{listener}")
        if not os.path.exists(note):
            heard = json.dumps(listen())
            with open(note + ".part", "w", encoding="utf-8") as f:
                f.write(heard)
            os.replace(note + ".part", note)
        with open(note, encoding="utf-8") as f:
            return json.load(f)
