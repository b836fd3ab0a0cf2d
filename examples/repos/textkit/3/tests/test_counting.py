import unittest

from textkit import most_common, words


class CountingTest(unittest.TestCase):
    def test_words_keep_their_apostrophes(self):
        self.assertEqual(words("Don't stop, they’re here"), ["don't", "stop", "they’re", "here"])

    def test_ties_are_in_alphabetical_order(self):
        self.assertEqual(most_common("b a b a c", 2), [("a", 2), ("b", 2)])


if __name__ == "__main__":
    unittest.main()
