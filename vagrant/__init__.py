"""The Vagrant guests: box, provisioning, and `./dev vm`, which runs the functional tests in them."""
