# Print the answer to a recording: sh predict.sh utterance.wav
address="${SER_HF_ADDRESS:-http://127.0.0.1:8000}"
echo "Authorization: Bearer $SER_HF_TOKEN" |
    curl --silent --fail-with-body --max-time 60 --retry 5 \
        --header @- --form "file=@$1" "$address/predict?segments=true"
