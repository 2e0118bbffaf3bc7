"""A program that has used up the thread keys keeps the values under its own keys."""

import subprocess
import sys
import textwrap

PROGRAM = """
    import ctypes
    import threading

    libc = ctypes.CDLL(None)
    libc.pthread_setspecific.argtypes = (ctypes.c_uint, ctypes.c_void_p)
    libc.pthread_getspecific.argtypes = (ctypes.c_uint,)
    libc.pthread_getspecific.restype = ctypes.c_void_p
    threading.local().used = True
    keys = []
    while True:
        key = ctypes.c_uint()
        if libc.pthread_key_create(ctypes.byref(key), None) != 0:
            break
        keys.append(key.value)
    assert len(keys) > 100


    def own_values():
        # This includes what Python stores under keys of its own.
        return [libc.pthread_getspecific(key) for key in range(1024)]


    def use(Producer, Consumer, name):
        for key in keys:
            libc.pthread_setspecific(key, 0x1000 + key)
        before = own_values()
        with (
            Producer(name, slot_size=64, unlink_on_close=True) as producer,
            Consumer(name) as consumer,
        ):
            producer.send(b"a message")
            assert consumer.receive(5) == b"a message"
        assert own_values() == before
        done.append(name)


    done = []
    from datablock_ctypes import Consumer, Producer

    use(Producer, Consumer, "keys")
    for number in range(20):
        thread = threading.Thread(target=use, args=(Producer, Consumer, f"keys{number}"))
        thread.start()
        thread.join(30)
    assert len(done) == 21, done
    print("right")
"""


def test_no_key_is_left_for_the_library(directory):
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(PROGRAM)], capture_output=True, text=True, timeout=60
    )
    assert (done.stdout, done.returncode) == ("right\n", 0), done.stderr
