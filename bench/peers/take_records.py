"""Takes a whole sync from a connector: take_records.py PROTO ADDRESS CONFIGURATION MODE [FILE]

bytes   messages are taken as they come and not looked into: what server and wire can do
values  messages are decoded, and every value of every record is read
decode  the messages of FILE, written by `bytes`, are decoded and read without a server: what decoding alone can do

Prints rows, seconds from the first message to the last, and seconds of processor time, as JSON.
"""

import importlib
import json
import os
import resource
import struct
import sys
import tempfile
import time

import grpc
from grpc_tools import protoc

proto, address, configuration, mode, *file = sys.argv[1:]
generated = tempfile.mkdtemp()
sys.path.insert(0, generated)
include = os.path.join(os.path.dirname(protoc.__file__), "_proto")
folder, name = os.path.split(proto)
if protoc.main(["", f"-I{folder}", f"-I{include}", f"--python_out={generated}", name]) != 0:
    raise SystemExit("protoc failed")
pb2 = importlib.import_module("connector_pb2")
deserialize = pb2.UpdateResponse.FromString


def count(message):
    """Reads every value of a message's records."""
    records = message.records.records
    for record in records:
        {column: getattr(value, value.WhichOneof("inner")) for column, value in record.data.items()}
    return len(records)


def stream():
    request = pb2.UpdateRequest(configuration=json.loads(configuration))
    channel = grpc.insecure_channel(address, options=[("grpc.max_receive_message_length", -1)])
    call = channel.unary_stream(
        "/fivetran_sdk.v2.SourceConnector/Update",
        request_serializer=pb2.UpdateRequest.SerializeToString,
        response_deserializer=None if mode == "bytes" else deserialize,
    )
    return call(request)


def saved():
    with open(file[0], "rb") as source:
        while header := source.read(4):
            yield deserialize(source.read(struct.unpack("<I", header)[0]))


rows = 0
kept = []
began = time.perf_counter()
for message in saved() if mode == "decode" else stream():
    if mode == "bytes":
        kept.append(message)
    else:
        rows += count(message)
seconds = time.perf_counter() - began
used = resource.getrusage(resource.RUSAGE_SELF)
if mode == "bytes":
    rows = sum(len(deserialize(message).records.records) for message in kept)
    if file:
        with open(file[0], "wb") as target:
            for message in kept:
                target.write(struct.pack("<I", len(message)) + message)
print(json.dumps({"rows": rows, "seconds": seconds, "cpu": used.ru_utime + used.ru_stime}))
