"""jambonz: signed JSON in, verbs out, calls moved by REST."""
