"""The patterns a written number is made of, and what may stand behind it, as tables with an example of each."""

from datashop_assets.asking.forms import Form, any_of

HIGHEST_SCORE = 5
NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")

# What models put around a number. All repetitions are bounded and possessive, so that no reply takes long to read.
OPENING = (
    r"(?:[\s*_`\"'\u201c\u2018\u300c\u3010$({}\[=:|]|\\[(\[]|\\(?:boxed|text|textbf|mathbf|mathrm|bf)\b\s*+|<(?=[^<>\n]{1,16}>))"
    r"{0,24}+"
)
CLOSING = r"(?:[ \t*_`\"'\u201d\u2019\u300d\u3011)\]}$>]|\\[)\]]){0,16}+"
_POINT = r"[\u5206\u70b9\u9ede\uc810](?![^\W_]|[ \t]*\ub9cc\uc810)"  # right behind a number
UNIT = rf"(?:[ \t]{{0,4}}+(?:(?:points?|pts?|stars?|marks?)\b|{_POINT}))?+"
DIGITS = rf"\d{{1,9}}+(?:[.,]\d{{1,9}}+)?+(?:(?={_POINT})|(?![^\W_]))(?![.,'\u2019\u00b7\u066b\u066c]\d)"
NAME = rf"(?:{'|'.join(NAMES)})(?![\w-])"
DASH = r"[\u2010-\u2015-]"
AFTER = rf"{CLOSING}{UNIT}{CLOSING}"

_FOR = r"for\s+(?:(?!(?:plus|minus|less|times|x)\b)[^\W\d]+[ \t]{0,4}){1,5}+"
NOTE = rf"(?:[ \t]*(?:\([^()\n]{{0,60}}\)|{_FOR}))?+[ \t]{{0,4}}+"

# What may stand behind a number, each by an example of it. A number that one of these follows is no one score.
_FROM = rf"(?:\d{{1,4}}[\s-]?(?:{DASH}|to|\.\.\.?)[\s-]?)?"  # of a scale
_JOINING = (
    rf"(?:{DASH}+>?|=>|\u2192|~|/|\||&|,|;|:|\.\.\.?|to|or|and|through|thru|until|vs\.?|maybe|perhaps|possibly|"
    r"probably|even|rather|up\s+to|bordering\s+on|leaning(?:\s+towards?)?)"
)
_NO_UNIT = "points|pts|stars|marks|this|thus|always|thanks|perhaps|yes|besides|regardless|nonetheless|plus|minus"
PERCENT = (Form(" %", rf"{CLOSING}(?:[%\u2030]|per\s?cent\b|pct\b|percentile\b)"),)
FRACTION = (
    Form("\u20444", rf"{AFTER}\u2044\s?\d"),
    Form(" 1/2", rf"{AFTER}\d{{1,4}}\s?[/\u2044]\s?\d"),
    Form(" and a half", rf"{AFTER}(?:and|&)\s+(?:an?\s+|one\s+)?(?:half|third|quarter|\d\s?/)"),
    Form(
        " (three and a half",
        rf"{AFTER}[ \t]*\(\s?(?:{DIGITS}|{NAME})\s+(?:and|&)\s+(?:an?\s+|one\s+)?(?:half|third|quarter)",
    ),
    Form(" point 5", rf"{CLOSING}point\s+(?:\d|{NAME})"),
    Form(" tenths", r"[ \t-]{1,4}(?:halves|thirds|quarters|fifths|tenths|hundredths)\b"),
)
OTHER_UNIT = (
    Form(" thousand", rf"{CLOSING}[ \t-]?(?:hundred|thousand|[mbtr]{{1,2}}illion|lakh|crore|dozen|grand|k)s?\b"),
    Form(" minutes", rf"{CLOSING}[ \t-]?(?-i:(?:second|minute|hour|day|week|month|year|word|sentence|line|page|"
    r"percentage[ \t]point|time|degree|vote|thumb|dollar|euro|pound|cent)s?)\b"),
    Form(" kg", rf"{CLOSING}[ \t]?(?-i:kg|g|mg|km|cm|mm|m|ms|s|h|kB|MB|GB|\u00b0[CF]?)(?![\w'\u2019.:)])"),
    Form(" \u20ac", rf"{CLOSING}[ \t]?(?:[\u00b0\u00a2-\u00a5\u20a0-\u20c0])"),
    Form(
        " bananas",  # alone at the end of the sentence
        rf"{CLOSING}[ \t]{{0,4}}(?-i:(?!(?:{_NO_UNIT})\b)[a-z]{{3,20}}s)(?=[ \t]*(?:[.!\n]|$))",
    ),
)  # fmt: skip
_COUNTED = (
    "criteri(?:a|on)|conditions?|requirements?|questions?|items?|categor(?:y|ies)|aspects?|dimensions?|checks?|factors?|"
    "elements?|examples?|sources?|facts?|errors?|mistakes?|paragraphs?|sentences?|sections?|texts?|documents?|parts?"
)
NO_COUNT = (  # may follow a score without a comma
    "points?|pts?|stars?|marks?|out|of|in|per|over|from|on|because|since|as|given|due|is|was|seems?|feels?|would|could|"
    "might|may|or|and|to|through|thru|until|vs|maybe|perhaps|possibly|probably|even|rather|up|if|unless|at|min|max|"
    "minimum|maximum|plus|minus|less|times|with|where|but|though|although|while|so|therefore|thus|overall|only|scale"
)
COUNTED = (
    Form(
        " criteria",
        rf"[ \t*_]{{1,4}}(?:of\s+the\s+)?(?:(?!(?:{NO_COUNT})\b)[^\W\d]{{1,12}}\s+)?(?:{_COUNTED})(?![\w'\u2019-])",
    ),
)
ITEMS = (  # behind a number that begins a line below "Final score": what its points are for
    Form(" point for", rf"{CLOSING}(?:[ \t]*points?\b{CLOSING})?[ \t]*for\b"),
    Form(" point: ", r"[ \t]*points?\b[ \t*_`]{0,8}:[ \t*_`]{0,8}(?=\S)", "it"),
    Form(
        " point - it\n- 1 point",
        rf"[ \t]*points?\b[ \t*_`]{{0,8}}(?:\(|{DASH})[^\n]{{0,300}}\n\n?[^\w\n]{{0,12}}\d[ \t]?points?\b",
    ),
    Form(" texts", rf"[ \t]+(?!(?:{NO_COUNT})\b)(?-i:[a-z]){{2,20}}(?=[ \t]+(?-i:[a-z]))", " say"),
)
LIST = (
    Form(
        ". Past\n2.",
        r"(?<=1)[ \t*_]{0,4}(?:[.):]|[\u2010-\u2015-][ \t])[^\n]{1,300}\n"
        r"(?:(?![^\w\n]{0,12}1[.):])[^\n]{0,300}\n){0,3}?"
        r"[^\w\n]{0,12}2[ \t*_]{0,4}(?:[.):]|[\u2010-\u2015-][ \t])",
    ),
    Form(
        " point for it\n- 1 point",
        r"[ \t]*points?[ \t]+for\b[^\n]{0,300}(?<!:)(?<!:\*\*)\n\n?[^\w\n]{0,12}\d[ \t]?points?\b",
    ),
)
_OF = (  # "of" and "in" as other languages write a scale: 3 sur 5, 3 von 5
    r"\u0438\u0437|\u0456\u0437|\u0437|\u043e\u0442|\u043d\u0430|von|auf|sur|de|del|em|en|su|na|op|av|af|van|z|ze|iz|od|din|per|"
    r"maximum|maximal|max\.?"
)
_TO = rf"(?:{DASH}|/|\.\.\.?|to|bis|\u00e0|a|al|\u0430|\u0434\u043e|do|til|till|tot|at\u00e9|hasta)"
_FULL = r"\u6ee1\u5206|\u6eff\u5206|\u603b\u5206|\u7e3d\u5206|\u6e80\u70b9|\u6eff\u9ede|\ub9cc\uc810"
_ENDS = r"(?=[ \t]{0,4}(?:[^\W\d]{1,10}[ \t]{0,4})?(?:[)\].,;!*_\n]|$))"
SCALE = (
    Form(
        " out of 5",
        rf"{AFTER}(?:\n?[,(\[])?\s?"
        r"(?:[/\\]|out\s+of|of(?:\s+the)?|(?<!\n)(?:in|per|over|from)\b|on\s+(?:an?|the)\s+scale\s+(?:of|from))[ \t]*"
        rf"(?:an?\s+|the\s+)?(?:(?:possible|max(?:imum)?|total)\s+(?:of\s+)?)?{_FROM}{OPENING}"
        rf"(?P<of>\d{{1,4}}+(?:\.\d{{1,4}})?+|{NAME})(?!\s?%)",
    ),
    Form(
        " on a ten-point scale",
        rf"{AFTER}[(]?(?:on\s+(?:an?|the)\s+)?{_FROM}(?P<points>\d{{1,4}}|{'|'.join(NAMES)})[\s-]*(?:point[\s-]*)?"
        r"scale\b",
    ),
    Form(
        " (1 = bad, 10 = best",
        rf"{AFTER},?[ \t]*(?:\(|(?:where|with)\b)[^()\n]{{0,40}}?(?P<best>\d{{1,4}})\s?(?:=|is|being|as)\s?(?:the\s+)?"
        r"(?:best|highest|max|top|perfect)",
    ),
    Form(
        " (on a scale of 0-5)",
        rf"{AFTER}\.?[ \t]*[(\[]\s?(?:(?:on\s+(?:an?|the)\s+)?(?:scale\s*:?\s*(?:of|from)?\s*)?{_FROM.rstrip('?')}"
        r"|max(?:imum)?\W{0,3})(?P<within>\d{1,4})[^()\[\]\n]{0,20}[)\]]",
    ),
    Form(
        " \u0438\u0437 5",
        rf"{AFTER}(?:[ \t]{{0,4}}[^\W\d]{{1,10}}[ \t]{{1,4}})?[ \t]{{0,4}}[,(\[]?[ \t]{{0,4}}(?:{_OF})[ \t]{{1,4}}"
        r"(?:maximal|max\.?|maximum|m\u00e1ximo|massimo)?[ \t]{0,4}(?P<von>\d{1,4})(?![\w%])",
    ),
    Form(
        " auf einer Skala von 1 bis 10",
        rf"{AFTER}[ \t]{{0,4}}[.,(\[]?[ \t]{{0,4}}(?!(?:because|since|as|due|given|for)\b)"
        rf"(?:[^\W\d]{{1,12}}[.:]?[ \t]{{1,4}}){{1,8}}"
        rf"(?:\d\s?{_TO}\s?)?(?P<top>10|20|50|100)(?![\w%]|[.,/]\d){_ENDS}",
    ),
    Form(
        " (\u00e9chelle de 1 \u00e0 10",
        rf"{AFTER}\.?[ \t]{{0,4}}[(\[][^()\[\]\d\n]{{0,40}}(?:\d\s?{_TO}\s?(?P<range>\d{{1,3}})"
        rf"(?=[^()\[\]\d\n]{{0,20}}[)\]])|(?P<alone>10|20|50|100)(?![\d%]|[.,/]\d){_ENDS})",
        ")",
    ),
    Form(
        ", \u6ee1\u52065",
        rf"{AFTER}[ \t]{{0,4}}[,(\u3001]?[ \t]{{0,4}}(?:{_FULL})[ \t]{{0,4}}"
        rf"(?:[\u4e3a\u70ba\u662f\u306f:][ \t]{{0,4}})?"
        rf"(?P<full>\d{{1,4}})(?:{_POINT})?",
    ),
)
SEVERAL = (
    Form(
        " (somewhere between 2 and 4",
        rf"{AFTER}[ \t]*[,(\[]?\s?(?:[^\W\d]{{1,12}}\s+)?between\s+(?:an?\s+)?(?:\d|{NAME})"
        rf"\s+(?:and|&)\s+(?:an?\s+)?(?:\d(?!\d)|{NAME})",
    ),
    Form(
        " point for style, 1",
        rf"{AFTER}[ \t]*for\s[^\n\d.;=]{{1,60}}(?:,|;|\band\b|\bbut\b)\s{OPENING}(?:{DIGITS}|{NAME})",
    ),
    Form(
        " to 4",
        rf"{AFTER}[ \t(]*(?P<join>(?:{_JOINING}[ \t]*){{1,4}}+){OPENING}(?P<other>{DIGITS}|{NAME})",
    ),
    Form(" 4", r"[ \t*_`\"'\u201d)\]}$]{0,16}(?<=[ \t])\d"),
    Form(" (style), 4", rf"{AFTER}[ \t]*\([^()\n]{{0,60}}\)[ \t]*(?:[,;/&|+]|and\b)?[ \t]*(?:{DIGITS}|{NAME})"),
    Form(" - style; 4 -", rf"{AFTER}[ \t]*{DASH}\s[^\n\d.;]{{1,60}};\s*(?:{DIGITS}|{NAME})\s?{DASH}"),
)
BOUND = (
    Form("+", r"\+|-(?![>-])"),
    Form(
        " or higher",
        rf"{AFTER}[ \t]*(?:or|and)\s+(?:higher|lower|more|less|above|below|better|worse|so|up)\b",
    ),
    Form(" if", rf"{AFTER}[ \t]*(?:if|unless)\b"),
    Form(
        " \u4ee5\u4e0a",
        rf"{AFTER}[ \t]*(?:\u4ee5\u4e0a|\u4ee5\u4e0b|\u5de6\u53f3|\u7a0b\u5ea6|\uc774\uc0c1|\uc774\ud558|\uc815\ub3c4)",
    ),
    Form(" at least", rf"{AFTER}[ \t]*at\s+(?:least|most|best|worst)\b"),
    Form(" minimum", rf"{AFTER}[ \t]*(?:min(?:imum)?|max(?:imum)?)\b(?!\s*\d)"),
    Form("-ish", rf"{AFTER}[ \t]*-?ish\b"),
    Form(" \u00b1 1", rf"{AFTER}[ \t]*(?:\u00b1|\+/-|plus\s+or\s+minus\b)\s?\d?"),
    Form(" minus", rf"{AFTER}[ \t]*(?:plus|minus)\b(?=[ \t]*(?:[.,;\n]|$))"),  # a grade of a school
)
DOUBTED = (
    Form("?", rf"{AFTER}\?"),
    Form(" would", rf"{AFTER}[ \t]*(?:would|could|might|may)\b"),
    Form(" is what", rf"{AFTER}[ \t]*(?:is|was)\s+(?:what|how)\b"),
    Form(" is far too", rf"{AFTER}[ \t]*(?:is|was|seems?|feels?)\s+(?:\w{{1,12}}\s+){{0,2}}?too\b"),
)
WITHOUT_RESULT = (
    Form(
        ", minus 2",
        rf"{AFTER}{NOTE}[,(]?\s?(?:\+|plus\b|minus\b|less\b|x\b|\u00d7|\u00f7|times\b)[ \t]{{0,4}}+"
        rf"(?:{DIGITS}|{NAME})",
    ),
    Form(
        " minus a penalty of 2",
        rf"{AFTER}{NOTE}[,(]?\s?(?:(?:plus|minus|less)\s+(?:[^\W\d]+\s+){{1,4}}|"
        rf"(?:with|after|before)\s+(?:[^\W\d]+\s+){{0,3}}(?:deductions?|penalty|bonus)\s+of\s+)(?:{DIGITS}|{NAME})",
    ),
    Form(" (+1", rf"{AFTER}[ \t]*[(\[]\s?(?:\+|-|plus\b|minus\b|less\b)[ \t]{{0,4}}+(?:{DIGITS}|{NAME})"),
)
DOUBT = any_of(*DOUBTED)
