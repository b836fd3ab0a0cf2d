import unittest

from textkit import slugify


class SlugTest(unittest.TestCase):
    def test_words_are_joined_by_hyphens(self):
        self.assertEqual(slugify("Hello, World!"), "hello-world")

    def test_runs_of_separators_are_one_hyphen(self):
        self.assertEqual(slugify("  a -- b  "), "a-b")

    def test_is_cut_between_words(self):
        self.assertEqual(slugify("one two three", max_length=9), "one-two")

    def test_a_long_word_is_cut_anywhere(self):
        self.assertEqual(slugify("abcdefghij", max_length=4), "abcd")


if __name__ == "__main__":
    unittest.main()
