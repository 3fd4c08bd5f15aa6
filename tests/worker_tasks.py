"""What the tests of the workers ask a worker to do."""

import errno
import os
import resource
import signal
import subprocess
import time
from pathlib import Path

from edgepack.errors import ConfigError


def double(value):
    return 2 * value


def own_pid():
    return os.getpid()


def die(number):
    os.kill(os.getpid(), number)
    time.sleep(60)


def die_profiling(_model, _split):
    die(signal.SIGSEGV)


def leave(code):
    os._exit(code)


def sleep_for(seconds):
    time.sleep(seconds)


def refuse():
    raise ConfigError("no such key", where="a.toml:3", hint="Did you mean name?")


def divide(value):
    return 1 / value


def speak(text):
    os.write(1, text.encode())
    die(signal.SIGSEGV)


def limits():
    return tuple(
        resource.getrlimit(kind)[0] for kind in (resource.RLIMIT_DATA, resource.RLIMIT_CORE)
    )


def environment():
    return dict(os.environ)


def fill_memory(size):
    return len(bytearray(size))


def wrap_out_of_memory(kind):
    causes = {
        "Python": MemoryError("no room"),
        "TensorFlow": ResourceExhaustedError("no room"),
        "system": OSError(errno.ENOMEM, "no room"),
    }
    raise ConfigError("an engine took it for something else") from causes[kind]


def say_and_sleep(text):
    say(text)
    time.sleep(600)


class ResourceExhaustedError(Exception):
    pass


def count_and_die(counter, text):
    Path(counter).write_text(text)
    die(signal.SIGKILL)


def start_another_and_sleep(path):
    Path(path).write_text(str(subprocess.Popen(["sleep", "600"]).pid))
    time.sleep(600)


def close_everything_and_sleep():
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))  # its pipe has the number that it has in the parent
    time.sleep(600)


def leave_pid_and_sleep(path):
    Path(path).write_text(str(os.getpid()))
    time.sleep(600)


def fill_the_disk():
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def say(text):
    os.write(1, f"{text}\n".encode())


def say_and_refuse(text):
    say(text)
    refuse()


def calibrated_ranges(model, samples):
    """What TensorFlow's own calibrator finds: least and largest value by tensor name."""
    from ai_edge_litert import schema_py_generated as schema
    from tensorflow.lite.python.optimize.calibrator import Calibrator

    found = Calibrator(model.read_bytes()).calibrate(lambda: ([one[None]] for one in samples))
    graph = schema.ModelT.InitFromPackedBuf(found, 0).subgraphs[0]
    return {
        tensor.name.decode(): (float(tensor.quantization.min[0]), float(tensor.quantization.max[0]))
        for tensor in graph.tensors
        if tensor.quantization is not None and tensor.quantization.min is not None
    }


def convert_by_hand(saved_model, samples, target):
    """int8 as TensorFlow's guide makes it: converter, representative dataset, integer borders."""
    import tensorflow as tf

    one_sample = tf.TensorSpec([1, *samples.shape[1:]], tf.float32)
    loaded = tf.saved_model.load(str(saved_model))
    function = tf.function(loaded.signatures["serving_default"])
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [function.get_concrete_function(image=one_sample)], loaded
    )
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([one[None]] for one in samples)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    target.write_bytes(converter.convert())
