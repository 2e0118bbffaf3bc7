"""A client of the Foxglove protocol: subscribes to channels and prints their messages decoded.

Usage: client.py URL SUBPROTOCOL COUNT TOPIC...
"""

import json
import struct
import sys

from mcap_ros2._dynamic import generate_dynamic
from websockets.sync.client import connect

url, subprotocol, count, *topics = sys.argv[1:]


def plain(value):
    if hasattr(value, "__slots__"):
        return {name: plain(getattr(value, name)) for name in value.__slots__}
    if isinstance(value, (bytes, bytearray)):
        return list(value)
    if isinstance(value, (list, tuple)) or type(value).__name__ == "array":
        return [plain(item) for item in value]
    return value


with connect(url, subprotocols=[subprotocol], max_size=None, open_timeout=20) as socket:
    assert socket.subprotocol == subprotocol
    info = json.loads(socket.recv(timeout=20))
    assert info["op"] == "serverInfo" and info["sessionId"] and info["capabilities"] == []
    channels = {}
    while set(topics) - {channel["topic"] for channel in channels.values()}:
        message = json.loads(socket.recv(timeout=20))
        assert message["op"] == "advertise"
        channels |= {channel["id"]: channel for channel in message["channels"]}
    decoders = {}
    subscriptions = []
    for number, channel in enumerate(c for c in channels.values() if c["topic"] in topics):
        assert (channel["encoding"], channel["schemaEncoding"]) == ("cdr", "ros2msg")
        name = channel["schemaName"]
        decode = generate_dynamic(name, channel["schema"])[name]
        decoders[100 + number] = (channel["topic"], decode)
        subscriptions.append({"id": 100 + number, "channelId": channel["id"]})
    socket.send(json.dumps({"op": "subscribe", "subscriptions": subscriptions}))
    for _ in range(int(count)):
        data = socket.recv(timeout=20)
        assert isinstance(data, bytes), data
        operation, subscription, at = struct.unpack("<BIQ", data[:13])
        assert operation == 1
        topic, decode = decoders[subscription]
        line = {"topic": topic, "time": at, "value": plain(decode(data[13:]))}
        print(json.dumps(line), flush=True)
