"""What other packages' vocabularies need of a transcript, without their messages."""
