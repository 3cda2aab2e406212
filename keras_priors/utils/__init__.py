"""What every room uses: checks of arguments, registration, names of weights, a progress bar."""
