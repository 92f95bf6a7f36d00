"""What ActivityPub servers say to each other: ids, documents, discovery, parsing, signatures; no I/O."""
