"""The simulated model's voice: a quiet tone whose pitch tells the voices apart, as long as the words take. Pure."""

import hashlib
import math
import struct

RATE_HZ = 24_000  # what OpenAI's pcm16 has
SECONDS_PER_TOKEN = 0.02
LONGEST_S = 1.0
TOKENS_PER_S = 20
LEVEL = 3000


def pcm16(voice: str, tokens: int) -> bytes:
    """Mono, signed 16-bit little-endian samples at 24 kHz; at most a second of them."""
    pitch_hz = 200 + hashlib.blake2b(voice.encode(), digest_size=1).digest()[0]
    samples = int(RATE_HZ * min(LONGEST_S, SECONDS_PER_TOKEN * max(1, tokens)))
    wave = (int(LEVEL * math.sin(2 * math.pi * pitch_hz * index / RATE_HZ)) for index in range(samples))
    return struct.pack(f"<{samples}h", *wave)


def wav(samples: bytes) -> bytes:
    """The samples in a WAV file."""
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, RATE_HZ, RATE_HZ * 2, 2, 16)
    data = struct.pack("<4sI", b"data", len(samples)) + samples
    return struct.pack("<4sI4s", b"RIFF", 4 + len(form) + len(data), b"WAVE") + form + data


def tokens(samples: bytes) -> int:
    """What the sound counts: 20 a second."""
    return math.ceil(len(samples) / 2 / RATE_HZ * TOKENS_PER_S)
