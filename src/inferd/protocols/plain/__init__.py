"""The plain protocol: a row of features in, a prediction out; and two words about health."""

from inferd.protocols.plain.dialect import Plain

plugin = Plain()
