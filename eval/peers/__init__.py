"""The engines that speed is measured against, each in its own process and its own environment."""
