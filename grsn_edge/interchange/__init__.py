"""Networks of other frameworks, through the Neuromorphic Intermediate Representation (NIR)."""

from grsn_edge.interchange.nir_export import export_nir
from grsn_edge.interchange.nir_import import Import, import_nir

__all__ = ["Import", "export_nir", "import_nir"]
