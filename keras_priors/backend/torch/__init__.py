"""PyTorch, with `torch.distributions`."""
