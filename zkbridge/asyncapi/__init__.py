"""The contract as data: an AsyncAPI document and a page made from it."""
