"""What a route changes in requests and answers on their way: paths, fields, the coding of bodies."""
