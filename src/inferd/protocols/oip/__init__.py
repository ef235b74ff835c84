"""The Open Inference Protocol, version 2, as Triton speaks it."""

from inferd.protocols.oip.dialect import Oip

plugin = Oip()
