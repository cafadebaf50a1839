"""What the service is: knows no wire, no broker and no quantum SDK."""
