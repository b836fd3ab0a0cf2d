import unittest

from textkit import shorten


class ShortenTest(unittest.TestCase):
    def test_short_text_stays(self):
        self.assertEqual(shorten("hello", 10), "hello")

    def test_white_space_is_folded(self):
        self.assertEqual(shorten(" a \n  b ", 10), "a b")

    def test_no_width_is_an_error(self):
        with self.assertRaises(ValueError):
            shorten("hello", 0)


if __name__ == "__main__":
    unittest.main()
