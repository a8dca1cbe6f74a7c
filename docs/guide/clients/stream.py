"""Send a WAV file (mono, 16 bits) as live audio, and print what is recognised: python stream.py talk.wav"""

import json
import os
import sys
import threading
import time
import wave

from websockets.sync.client import connect

address = os.environ.get("SER_HF_ADDRESS", "http://127.0.0.1:8000").replace("http", "ws", 1)
headers = {"Authorization": f"Bearer {os.environ.get('SER_HF_TOKEN', '')}"}


def send(socket, recording):
    while samples := recording.readframes(recording.getframerate() // 4):
        socket.send(samples)
        time.sleep(0.25)  # as a microphone does
    socket.send("end")


with wave.open(sys.argv[1]) as recording:
    url = f"{address}/stream?sampling_rate={recording.getframerate()}"
    with connect(url, additional_headers=headers) as socket:
        threading.Thread(target=send, args=(socket, recording)).start()
        for event in map(json.loads, socket):
            print(event["start"], event["end"], event["emotion"], "final" if event["final"] else "so far")
