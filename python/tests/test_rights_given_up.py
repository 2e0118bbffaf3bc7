"""A program may give up rights or get another root, and can then no longer find its block's name.

The block continues.
"""

import os
import subprocess
import sys

import pytest

from datablock_ctypes import Consumer, Delivery, Producer, unlink


def produces(directory, how):
    """A producer whose block's name gets out of reach.

    It publishes for longer than the interval of its check of the name, and closes.
    """
    code = f"""
import os, sys, time
from datablock_ctypes import Consumer, Delivery, Producer, Timeout, with_read_transaction
producer = Producer("keep", slot_size=64, slot_count=64, directory={str(directory)!r})
durable = Consumer(
    "keep", directory={str(directory)!r}, delivery=Delivery.LOSSLESS,
    durable=True, consumer_name="recorder",
)
durable.close()
consumer = Consumer("keep", directory={str(directory)!r}, delivery=Delivery.ORDERED)
for number in range(5):
    producer.send(b"m%d" % number)
    consumer.receive(timeout=1)
if {how!r} == "setuid":
    os.chmod({str(directory)!r}, 0o700)
    os.setresuid(65534, 65534, 65534)
else:
    os.chroot("/usr")
sent = 5
until = time.monotonic() + 0.3
while time.monotonic() < until:
    producer.send(b"m%d" % sent)
    sent += 1
    assert consumer.receive(timeout=1).startswith(b"m")
    time.sleep(0.01)
try:
    with_read_transaction(consumer, sent + 1000, 0.2, bytes)
except Timeout:
    pass
producer.close()
print(sent)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


@pytest.mark.parametrize("how", ["setuid", "chroot"])
def test_a_program_that_loses_sight_of_its_block_does_not_end_it(tmp_path, how):
    if os.geteuid() != 0:
        pytest.skip("NOT SHOWN: a program that gives up rights: it takes root to have some")
    sent = produces(tmp_path, how)
    os.chmod(tmp_path, 0o755)
    with Producer("keep", slot_size=64, slot_count=64, directory=tmp_path) as producer:
        assert producer.send(b"next") == sent
        with Consumer(
            "keep",
            directory=tmp_path,
            delivery=Delivery.LOSSLESS,
            durable=True,
            consumer_name="recorder",
        ) as recorder:
            assert [recorder.receive(timeout=0) for _ in range(sent + 1)] == [
                b"m%d" % number for number in range(sent)
            ] + [b"next"]
    unlink(tmp_path / "keep")
