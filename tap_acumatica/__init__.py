"""Singer tap for Acumatica ERP: every table and generic inquiry, over OData."""
