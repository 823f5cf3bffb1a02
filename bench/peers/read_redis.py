"""Reads every key of a server as one would with redis-py, pipelined, into a DuckDB file: read_redis.py PORT FILE"""

import json
import sys

import duckdb
import pyarrow
import redis

port, file = sys.argv[1:]
server = redis.Redis(port=int(port))
connection = duckdb.connect(file)
connection.execute("CREATE SCHEMA db0")
connection.execute("CREATE TABLE db0.dragonfly_data (key VARCHAR, value VARCHAR, data_type VARCHAR, ttl INT, size INT)")
text = {b"hash": "hgetall", b"list": "lrange", b"set": "smembers", b"zset": "zrange", b"string": "get"}
rest = {b"list": (0, -1), b"zset": (0, -1, False, True)}


def plain(value):
    """A value as Python's json takes it."""
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, dict):
        return {name.decode(): item.decode() for name, item in value.items()}
    if isinstance(value, set):
        return sorted(item.decode() for item in value)
    return [[item[0].decode(), item[1]] if isinstance(item, tuple) else item.decode() for item in value]


cursor = 0
while True:
    cursor, keys = server.scan(cursor, count=1000)
    pipeline = server.pipeline(transaction=False)
    for key in keys:
        pipeline.type(key)
        pipeline.ttl(key)
    answers = pipeline.execute()
    types, ttls = answers[::2], answers[1::2]
    pipeline = server.pipeline(transaction=False)
    for key, kind in zip(keys, types):
        getattr(pipeline, text[kind])(key, *rest.get(kind, ()))
    values = [plain(value) for value in pipeline.execute()]
    rows = pyarrow.table(
        {
            "key": [key.decode() for key in keys],
            "value": [value if isinstance(value, str) else json.dumps(value) for value in values],
            "data_type": [kind.decode() for kind in types],
            "ttl": ttls,
            "size": [len(value) for value in values],
        }
    )
    connection.execute("INSERT INTO db0.dragonfly_data SELECT * FROM rows")
    if cursor == 0:
        break
connection.close()
