"""Systems without a model, fitted from the training lines of the data set that is evaluated."""
