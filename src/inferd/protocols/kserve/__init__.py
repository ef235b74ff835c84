"""The V1 protocol of KServe's own Python server: instances in, predictions out."""

from inferd.protocols.kserve.dialect import Kserve

plugin = Kserve()
