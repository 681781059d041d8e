"""What several screens share: keys, filters, tables, renewal."""
