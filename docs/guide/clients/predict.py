"""Print the emotion of a recording: python predict.py utterance.wav"""

import json
import os
import sys
import urllib.request
from pathlib import Path

address = os.environ.get("SER_HF_ADDRESS", "http://127.0.0.1:8000")
headers = {"Authorization": f"Bearer {os.environ.get('SER_HF_TOKEN', '')}", "Content-Type": "audio/*"}
request = urllib.request.Request(f"{address}/predict", Path(sys.argv[1]).read_bytes(), headers)
with urllib.request.urlopen(request, timeout=60) as response:
    answer = json.load(response)
print(answer["prediction"], answer["scores"])
