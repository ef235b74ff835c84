"""The protocol of MLflow's scoring server: a table or a tensor in, predictions out."""

from inferd.protocols.mlflow.dialect import Mlflow

plugin = Mlflow()
