"""Probes: small experiments on an implementation, whose outcomes are compared with ours.

Each turns one thing: a size, a mask, a mode. So the list of those that come out right and
wrong says where a fault lies even when no known misconception explains it. Sizes are
distinct primes but where a silent mistake needs equal ones, weights and biases are random
near scale 1, and everything is in float64.
"""

from transformer.learning.probes import attention as attention
from transformer.learning.probes import basics as basics
from transformer.learning.probes import beginnings as beginnings
from transformer.learning.probes import bpe as bpe
from transformer.learning.probes import data as data
from transformer.learning.probes import encoder_decoder as encoder_decoder
from transformer.learning.probes import heads as heads
from transformer.learning.probes import layers as layers
from transformer.learning.probes import masked_language as masked_language
from transformer.learning.probes import model as model
from transformer.learning.probes import optimisation as optimisation
from transformer.learning.probes import residual as residual
from transformer.learning.probes import resume as resume
from transformer.learning.probes import sampling as sampling
from transformer.learning.probes import scaling as scaling
from transformer.learning.probes import stream as stream
from transformer.learning.probes import text as text
from transformer.learning.probes import training as training
from transformer.learning.probes.base import PROBES, Probe

__all__ = ["PROBES", "Probe"]
