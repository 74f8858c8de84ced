"""What ended while JWTs of it may live: written in the transaction of the ending, told to the APIs' guards by their feeds."""
