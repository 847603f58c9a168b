"""What is true of any OData service: metadata, types, literals, query options, payloads.

Nothing in this package knows about Singer or Acumatica. Sources: OData 4.01 Parts 1 and 2, CSDL XML
4.01 and OData JSON Format 4.01 (OASIS); [MC-CSDL] and OData 3.0 for the older versions.
"""
